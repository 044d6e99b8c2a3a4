"""The messages of Pachyderm's wire, built at start-up from the SDK's own metadata.

The SDK carries every field's number and type. Handing them to protobuf as descriptors gives its fast message
classes without a .proto file and without generated code here. These classes have no static types; `Msg` says so in
one place, and everything that leaves this package's handlers is turned into plain values first.
"""

import dataclasses
import enum
import importlib
import inspect
import re
import typing
from datetime import datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import betterproto
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)

Msg: TypeAlias = Any  # a protobuf message whose class exists only at run time

PACKAGE = "pachyderm.wire"
# The modules whose messages we build; methods of all others are refused by name before a message is read.
MODULES = ("auth", "taskapi", "pfs", "pps", "version", "admin", "transaction", "metadata", "worker")
STUBS = (
    *MODULES,
    "enterprise",
    "license",
    "identity",
    "debug",
    "storage",
    "logs",
    "snapshot",
    "pjs",
)
# Names that the SDK had to change: Python keywords, and capital letters.
RENAMED = {"from_": "from", "continue_": "continue"}
CAPITALS = {("Egress", "url"): "URL", ("AddFileUrlSource", "url"): "URL", ("GetFileRequest", "url"): "URL"}

_FIELD = descriptor_pb2.FieldDescriptorProto
_WRAPPERS = {
    "bytes": "BytesValue",
    "int64": "Int64Value",
    "string": "StringValue",
    "bool": "BoolValue",
    "double": "DoubleValue",
    "int32": "Int32Value",
    "uint32": "UInt32Value",
    "uint64": "UInt64Value",
    "float": "FloatValue",
}
_KNOWN_FILES = (any_pb2, duration_pb2, empty_pb2, timestamp_pb2, wrappers_pb2)

Empty: Msg = empty_pb2.Empty
BytesValue: Msg = wrappers_pb2.BytesValue


class Method(NamedTuple):
    """One RPC as the SDK's stub calls it."""

    service: str
    name: str
    kind: str
    request: Msg
    response: Msg


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"pachyderm_sdk.api.{name}")


def _type_name(kind: type) -> str:
    """Tell the full name under which a class of the SDK is known to our pool."""
    if kind.__module__.startswith("betterproto.lib"):
        return f".google.protobuf.{kind.__name__}"
    room = kind.__module__.rsplit(".", 1)[-1]
    if issubclass(kind, enum.Enum):
        return f".{PACKAGE}.{room}.{kind.__name__}.Value"
    return f".{PACKAGE}.{room}.{kind.__name__}"


def _bare(hint: object) -> type:
    """Take `List[X]` and `Optional[X]` down to X."""
    arguments = [a for a in typing.get_args(hint) if a is not type(None)]
    found = arguments[-1] if arguments else hint
    return found if isinstance(found, type) else type(found)


def _set_type(field: Msg, meta: Msg, hint: object) -> None:
    """Give a field descriptor its type from the SDK's metadata and annotation."""
    if meta.proto_type not in {"message", "enum"}:
        field.type = getattr(_FIELD, f"TYPE_{meta.proto_type.upper()}")
        return
    kind = _bare(hint)
    field.type = _FIELD.TYPE_ENUM if meta.proto_type == "enum" else _FIELD.TYPE_MESSAGE
    if meta.wraps:
        field.type_name = f".google.protobuf.{_WRAPPERS[meta.wraps]}"
    elif kind is datetime:
        field.type_name = ".google.protobuf.Timestamp"
    elif kind is timedelta:
        field.type_name = ".google.protobuf.Duration"
    else:
        field.type_name = _type_name(kind)


def _add_map(owner: Msg, field: Msg, meta: Msg, hint: object) -> None:
    """Describe a map as protobuf does: a repeated nested entry."""
    entry = owner.nested_type.add(name="".join(w.capitalize() for w in field.name.split("_")) + "Entry")
    entry.options.map_entry = True
    for number, (name, proto_type) in enumerate(zip(("key", "value"), meta.map_types, strict=True), start=1):
        part = entry.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
        _set_type(part, SimpleNamespace(proto_type=proto_type, wraps=None), typing.get_args(hint)[number - 1])
    field.label = _FIELD.LABEL_REPEATED
    field.type = _FIELD.TYPE_MESSAGE
    field.type_name = entry.name


def _add_message(room: Msg, kind: type) -> None:
    """Describe one message class of the SDK."""
    owner = room.nested_type.add(name=kind.__name__)
    hints = typing.get_type_hints(kind, vars(importlib.import_module(kind.__module__)))
    groups: list[str] = []
    for field in dataclasses.fields(kind):
        meta = field.metadata["betterproto"]
        name = CAPITALS.get((kind.__name__, field.name)) or RENAMED.get(field.name, field.name)
        made = owner.field.add(name=name, number=meta.number, label=_FIELD.LABEL_OPTIONAL)
        hint = hints[field.name]
        if meta.proto_type == "map":
            _add_map(owner, made, meta, hint)
            continue
        _set_type(made, meta, hint)
        if typing.get_origin(hint) is list:
            made.label = _FIELD.LABEL_REPEATED
        if meta.group:
            if meta.group not in groups:
                groups.append(meta.group)
                owner.oneof_decl.add(name=meta.group)
            made.oneof_index = groups.index(meta.group)


def _add_enum(room: Msg, kind: type[enum.Enum]) -> None:
    """Describe one enum inside a message of its own, where its members' names cannot meet another's."""
    made = room.nested_type.add(name=kind.__name__).enum_type.add(name="Value")
    for member in sorted(kind, key=lambda m: (m.value != 0, m.value)):
        made.value.add(name=member.name, number=member.value)


def _describe() -> Msg:
    """Describe the messages of every module in one file."""
    file = descriptor_pb2.FileDescriptorProto(name="pachyderm/wire.proto", package=PACKAGE, syntax="proto3")
    file.dependency.extend(known.DESCRIPTOR.name for known in _KNOWN_FILES)
    for name in MODULES:
        module = _module(name)
        room = file.message_type.add(name=name)
        for kind in vars(module).values():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            if issubclass(kind, betterproto.Message):
                _add_message(room, kind)
            elif issubclass(kind, enum.Enum):
                _add_enum(room, kind)
    return file


def _build() -> dict[str, dict[str, Msg]]:
    """Build every message class, by module and name."""
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(_describe().SerializeToString())
    rooms: dict[str, dict[str, Msg]] = {}
    for name in MODULES:
        outer = pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        rooms[name] = {d.name: message_factory.GetMessageClass(d) for d in outer.nested_types if not d.enum_types}
    return rooms


_ROOMS = _build()
pfs: Msg = SimpleNamespace(**_ROOMS["pfs"])
pps: Msg = SimpleNamespace(**_ROOMS["pps"])
version: Msg = SimpleNamespace(**_ROOMS["version"])
admin: Msg = SimpleNamespace(**_ROOMS["admin"])
transaction: Msg = SimpleNamespace(**_ROOMS["transaction"])
metadata: Msg = SimpleNamespace(**_ROOMS["metadata"])
worker: Msg = SimpleNamespace(**_ROOMS["worker"])

_CALL = re.compile(
    r'channel\.(\w+)\(\s*"/([\w.]+)/(\w+)",\s*request_serializer=([\w.]+)\.SerializeToString,'
    r"\s*response_deserializer=([\w.]+)\.FromString",
)


def _message(module: ModuleType, dotted: str) -> Msg:
    """Find our class for a name that stands in a stub's source; None where its module is not built."""
    found: Msg = module
    for step in dotted.split("."):
        found = getattr(found, step)
    if found.__module__.startswith("betterproto.lib"):
        return {"Empty": Empty, "BytesValue": BytesValue}.get(found.__name__)
    return _ROOMS.get(found.__module__.rsplit(".", 1)[-1], {}).get(found.__name__)


def methods() -> dict[str, Method]:
    """List every RPC that the SDK knows, by `service/name`, with our message classes."""
    table: dict[str, Method] = {}
    for name in STUBS:
        module = _module(name)
        for kind, service, method, request, response in _CALL.findall(inspect.getsource(module)):
            table[f"{service}/{method}"] = Method(
                service, method, kind, _message(module, request), _message(module, response)
            )
    return table
