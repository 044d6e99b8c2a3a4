"""The Open Inference Protocol v2 over gRPC: the same model, interface and refusals as over HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc
import grpc.aio
import numpy as np
from google.protobuf.message import DecodeError

from cdl.serving import binary, oip
from cdl.serving.app import App
from cdl.serving.counter import Counter
from cdl.serving.exchange import BODY_LIMIT, PREDICTION, PUID, new_puid
from cdl.serving.faults import BAD_SETTING, Fault, Refused
from cdl.serving.grpc_wire import CONTENTS, KINDS, METHODS, SERVICE, Msg
from cdl.serving.served import Served
from cdl.serving.tensors import Tensor, array_of, tensors_of

LOG = logging.getLogger("cdl.serving")
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
OPTIONS = (
    ("grpc.max_receive_message_length", BODY_LIMIT),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second server on the same port is a mistake, not a share of the work
)
Handler = Callable[[Msg, "Call"], Awaitable[Msg]]


class Call:
    """One call: what came beside the message, and what goes beside the answer."""

    def __init__(self, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        given = next((value for name, value in metadata if name == "seldon-puid"), "")
        self.puid = given if isinstance(given, str) and PUID.fullmatch(given) else ""
        self.told: dict[str, str] = {}


class Door:
    """The service's methods, on the event loop that serves HTTP."""

    def __init__(self, served: Served, counter: Counter, app: App) -> None:
        self._served = served
        self._counter = counter
        self._app = app
        self._labels = (("x-cdl-release", served.release.name), ("x-cdl-digest", served.release.digest))

    async def listen(self, host: str, port: int) -> grpc.aio.Server:
        """Take the port and answer there."""
        server = grpc.aio.server(options=OPTIONS)
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._method(name),
                response_serializer=KINDS[f"{name}Response"].SerializeToString,
            )
            for name in METHODS
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        address = f"[{host}]" if ":" in host else host
        try:
            taken = server.add_insecure_port(f"{address}:{port}")
        except RuntimeError as error:
            raise Refused(f"cannot listen on {host}:{port} for gRPC: {error}", BAD_SETTING) from error
        await server.start()
        LOG.info("ready for gRPC at %s:%d", address, taken)
        return server

    def _method(self, name: str) -> Callable[[bytes, Msg], Awaitable[Msg]]:
        handlers: dict[str, tuple[str, Handler]] = {
            "ServerLive": ("status", self._live),
            "ServerReady": ("status", self._ready),
            "ModelReady": ("status", self._model_ready),
            "ServerMetadata": ("metadata", self._server),
            "ModelMetadata": ("metadata", self._metadata),
            "ModelInfer": ("predictions", self._infer),
        }
        service, handler = handlers[name]

        async def method(content: bytes, context: Msg) -> Msg:
            began = time.perf_counter()
            call = Call(context.invocation_metadata() or ())
            fault = answer = None
            try:
                answer = await handler(_read(f"{name}Request", content), call)
            except Fault as found:
                fault = found
            except asyncio.CancelledError:
                raise  # the caller has gone
            except Exception as error:  # a fault of ours is answered and logged, never shown
                LOG.exception("gRPC %s failed", name)
                fault = Fault(500, f"the server failed with {type(error).__name__}; its log says more")
            code = CODES.get(fault.status, grpc.StatusCode.INTERNAL) if fault else grpc.StatusCode.OK
            self._served.exposition.request(service, "grpc", code.name, time.perf_counter() - began)
            told = {"seldon-puid": call.puid or new_puid(), **call.told}
            await context.send_initial_metadata((*self._labels, *told.items()))
            if fault:
                await context.abort(code, fault.sentence)
            return answer

        return method

    # -- health and descriptions --------------------------------------------------------------------------------------

    async def _live(self, _: Msg, __: Call) -> Msg:
        return KINDS["ServerLiveResponse"](live=True)

    async def _ready(self, _: Msg, __: Call) -> Msg:
        return KINDS["ServerReadyResponse"](ready=await self._healthy())

    async def _model_ready(self, request: Msg, _: Call) -> Msg:
        self._served.named(request.name, request.version or None)
        return KINDS["ModelReadyResponse"](ready=await self._healthy())

    async def _healthy(self) -> bool:
        try:
            await self._app.healthy()
        except Fault:
            return False
        return True

    async def _server(self, _: Msg, __: Call) -> Msg:
        return KINDS["ServerMetadataResponse"](**oip.SERVER)

    async def _metadata(self, request: Msg, _: Call) -> Msg:
        self._served.named(request.name, request.version or None)
        metadata = self._served.metadata()
        wanted = ("name", "versions", "platform", "inputs", "outputs")
        return KINDS["ModelMetadataResponse"](**{name: metadata[name] for name in wanted})

    # -- predictions --------------------------------------------------------------------------------------------------

    async def _infer(self, request: Msg, call: Call) -> Msg:
        self._served.named(request.model_name, request.model_version or None)
        arrays = self._arrays(request)
        wanted = [output.name for output in request.outputs]
        for name in wanted:
            oip.check_output(self._served, name)
        asked = call.puid or (request.id if PUID.fullmatch(request.id) else new_puid())
        prediction = await self._counter.run(lambda: self._served.predict(arrays, []))
        tensors = oip.chosen(tensors_of(prediction.answer, self._served.interface), wanted)
        name = self._served.prediction(asked)
        call.told |= {"seldon-puid": asked, PREDICTION: name}
        said = {**oip.sayable(prediction.tags), "prediction": name, **self._served.labels()}
        return self._response(request, tensors, said)

    def _arrays(self, request: Msg) -> dict[str, np.ndarray]:
        if not request.inputs:
            raise Fault(400, "inputs is empty; expected a list of tensors")
        raw = list(request.raw_input_contents)
        if raw and len(raw) != len(request.inputs):
            raise Fault(400, f"raw_input_contents has {len(raw)} entries; inputs has {len(request.inputs)}")
        arrays: dict[str, np.ndarray] = {}
        for number, entry in enumerate(request.inputs):
            name = entry.name
            if name in arrays:
                raise Fault(400, f"input {name!r} is given twice")
            datatype = oip.datatype_of(self._served, name, entry.datatype)
            shape = oip.shape_of(name, list(entry.shape))
            array = binary.array_of(name, datatype, raw[number]) if raw else _typed(name, datatype, entry.contents)
            arrays[name] = oip.shaped(name, array, shape)
        self._served.complete(arrays)
        return arrays

    def _response(self, request: Msg, tensors: Sequence[Tensor], said: Mapping[str, object]) -> Msg:
        response = KINDS["ModelInferResponse"](
            model_name=self._served.name,
            model_version=self._served.release.version,
            id=request.id or said["prediction"],
        )
        for key, value in said.items():
            _set_parameter(response.parameters[key], value)
        # Raw or typed, never both; a caller gets what it sent, as long as there is a place for every datatype.
        raw = bool(request.raw_input_contents) or any(tensor.datatype not in CONTENTS for tensor in tensors)
        for tensor in tensors:
            output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
            if raw:
                response.raw_output_contents.append(binary.bytes_of(tensor.datatype, tensor.array))
            else:
                getattr(output.contents, CONTENTS[tensor.datatype]).extend(_listed(tensor))
        return response


def _read(kind: str, content: bytes) -> Msg:
    try:
        return KINDS[kind].FromString(content)
    except DecodeError as error:
        raise Fault(400, f"the message is no {kind}: {error}") from error


def _typed(name: str, datatype: str, contents: Msg) -> np.ndarray:
    place = CONTENTS.get(datatype)
    if place is None:
        raise Fault(400, f"input {name!r} is {datatype}, which goes in raw_input_contents only")
    others = [field.name for field, _ in contents.ListFields() if field.name != place]
    if others:
        raise Fault(400, f"input {name!r} has its values in {others[0]}; {datatype} goes in {place}")
    values: list[object] = list(getattr(contents, place))
    if datatype == "BYTES":
        values = [_text(name, number, value) for number, value in enumerate(values)]
    return array_of(name, datatype, values)


def _text(name: str, number: int, value: object) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise Fault(400, f"input {name!r} element {number} is not UTF-8 text") from error


def _listed(tensor: Tensor) -> list[object]:
    values: list[object] = tensor.array.reshape(-1).tolist()
    if tensor.datatype == "BYTES":
        return [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return values


def _set_parameter(parameter: Msg, value: object) -> None:
    match value:
        case bool():
            parameter.bool_param = value
        case int() if -(2**63) <= value < 2**63:
            parameter.int64_param = value
        case int() | float():
            parameter.double_param = float(value)
        case _:
            parameter.string_param = str(value)
