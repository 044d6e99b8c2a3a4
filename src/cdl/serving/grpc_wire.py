"""The messages of the Open Inference Protocol over gRPC, described here and built at start-up.

A descriptor handed to protobuf gives its fast message classes without a .proto file and without generated code.
These classes have no static types; `Msg` says so in one place.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Msg: TypeAlias = Any  # a protobuf message whose class exists only at run time

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

# Message: its fields in the order of their numbers, from 1. `*` is repeated, `{}` a map from text, `|` of one choice.
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready",
    "ModelReadyRequest": "string name, string version",
    "ModelReadyResponse": "bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name, string version, *string extensions",
    "ModelMetadataRequest": "string name, string version",
    "ModelMetadataResponse": "string name, *string versions, string platform, *TensorMetadata inputs, "
    "*TensorMetadata outputs",
    "ModelMetadataResponse.TensorMetadata": "string name, string datatype, *int64 shape",
    "InferParameter": "|bool bool_param, |int64 int64_param, |string string_param, |double double_param, "
    "|uint64 uint64_param",
    "InferTensorContents": "*bool bool_contents, *int32 int_contents, *int64 int64_contents, *uint32 uint_contents, "
    "*uint64 uint64_contents, *float fp32_contents, *double fp64_contents, *bytes bytes_contents",
    "ModelInferRequest": "string model_name, string model_version, string id, {}InferParameter parameters, "
    "*InferInputTensor inputs, *InferRequestedOutputTensor outputs, *bytes raw_input_contents",
    "ModelInferRequest.InferInputTensor": "string name, string datatype, *int64 shape, {}InferParameter parameters, "
    "InferTensorContents contents",
    "ModelInferRequest.InferRequestedOutputTensor": "string name, {}InferParameter parameters",
    "ModelInferResponse": "string model_name, string model_version, string id, {}InferParameter parameters, "
    "*InferOutputTensor outputs, *bytes raw_output_contents",
    "ModelInferResponse.InferOutputTensor": "string name, string datatype, *int64 shape, "
    "{}InferParameter parameters, InferTensorContents contents",
}
# Where a datatype's values stand in InferTensorContents; FP16 has no place there and goes as raw bytes only.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_FIELD = descriptor_pb2.FieldDescriptorProto


def _type(field: Msg, owner: str, word: str) -> None:
    plain = getattr(_FIELD, f"TYPE_{word.upper()}", None)
    if plain is not None:
        field.type = plain
        return
    nested = f"{owner.split('.', maxsplit=1)[0]}.{word}"
    field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{PACKAGE}.{nested if nested in MESSAGES else word}"


def _add_field(message: Msg, owner: str, number: int, text: str) -> None:
    word, name = text.split(" ")
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if word.startswith("{}"):
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
        _type(entry.field.add(name="value", number=2, label=_FIELD.LABEL_OPTIONAL), owner, word[2:])
        field.label, field.type = _FIELD.LABEL_REPEATED, _FIELD.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{owner}.{entry.name}"
        return
    if word.startswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if word.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
    _type(field, owner, word.lstrip("*|"))


def _built() -> dict[str, Msg]:
    file = descriptor_pb2.FileDescriptorProto(name="inference.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, Msg] = {}
    for owner, text in MESSAGES.items():
        outer, _, inner = owner.partition(".")
        made[owner] = made[outer].nested_type.add(name=inner) if inner else file.message_type.add(name=outer)
        for number, part in enumerate(filter(None, text.split(", ")), start=1):
            _add_field(made[owner], owner, number, part)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        owner: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{owner}")) for owner in MESSAGES
    }


KINDS: dict[str, Msg] = _built()
"""Every message class by its name, nested ones as `Outer.Inner`."""
