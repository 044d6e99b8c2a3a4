"""The page that shows what can be asked, and the OpenAPI document behind it, made from the interface."""

from __future__ import annotations

import html
from collections.abc import Mapping

import orjson

from cdl.serving.interface import Field
from cdl.serving.served import Served
from cdl.serving.tensors import zeros

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.4rem}code,textarea,pre{font:13px/1.4 ui-monospace,monospace}
textarea{width:100%;height:11rem;box-sizing:border-box}pre{background:#f4f4f4;padding:.8rem;overflow:auto;max-height:24rem}
section{border-top:1px solid #ccc;padding:.6rem 0}summary{cursor:pointer}
b{display:inline-block;min-width:3.5rem}button{font:inherit;padding:.2rem 1rem}
""".strip()

# The page may be served below a prefix; the server's root is what stands before the page's own path.
SCRIPT = """
const root=location.pathname.replace(/\\/(v2\\/docs|api\\/v1\\.0\\/doc)\\/?$/,'');
for(const form of document.forms)form.addEventListener('submit',async event=>{
 event.preventDefault();const output=form.querySelector('pre');output.textContent='…';
 const method=form.dataset.method,options={method};
 if(method==='POST'){options.body=form.querySelector('textarea').value;options.headers={'content-type':'application/json'}}
 try{const reply=await fetch(root+form.dataset.path,options),text=await reply.text();let shown=text;
  try{shown=JSON.stringify(JSON.parse(text),null,1)}catch{}
  output.textContent=reply.status+' '+reply.statusText+'\\n'+shown}
 catch(error){output.textContent=String(error)}});
""".strip()


def openapi(served: Served) -> dict[str, object]:
    """Describe every path, with this model's tensors in the schemas and examples."""
    name = served.name
    reading = {
        "/v2": "Server metadata",
        "/v2/health/live": "Whether the process is alive",
        "/v2/health/ready": "Whether the model can answer",
        f"/v2/models/{name}": "Model metadata",
        f"/v2/models/{name}/ready": "Whether this model can answer",
        "/api/v1.0/metadata": "Model metadata",
        "/api/v1.0/health/status": "Whether the model can answer",
        "/metrics": "Prometheus metrics",
    }
    paths: dict[str, object] = {path: {"get": _operation(summary, None, None)} for path, summary in reading.items()}
    infer = _operation("Predict, Open Inference Protocol v2", _v2_schema(served), v2_example(served))
    seldon = _operation("Predict, Seldon protocol v0.1", {"type": "object"}, v01_example(served))
    judged = {"reward": 1.0, "request": v01_example(served), "truth": {"data": {"ndarray": [0]}}}
    paths[f"/v2/models/{name}/infer"] = {"post": infer}
    paths["/api/v1.0/predictions"] = {"post": seldon}
    paths["/api/v1.0/feedback"] = {"post": _operation("Say how good an answer was", {"type": "object"}, judged)}
    return {
        "openapi": "3.0.3",
        "info": {"title": name, "version": served.release.version, "description": f"Release {served.release.name}"},
        "paths": paths,
    }


def docs(served: Served) -> str:
    """Write the page; it needs nothing from anywhere else."""
    title = html.escape(f"{served.name} · release {served.release.name}")
    sections = []
    document = openapi(served)
    paths = document["paths"]
    for path, operations in paths.items() if isinstance(paths, dict) else ():
        for method, operation in operations.items():
            sections.append(_section(path, method.upper(), operation))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p><code>{html.escape(served.release.digest)}</code></p>"
        f"{''.join(sections)}<script>{SCRIPT}</script></html>"
    )


def v2_example(served: Served) -> dict[str, object]:
    """Build the smallest request that the interface accepts."""
    fields = served.interface.inputs or (Field("input", "FP32", (1,)),)
    arrays = zeros(fields)
    return {
        "inputs": [
            {
                "name": field.name,
                "datatype": field.datatype,
                "shape": list(arrays[field.name].shape),
                "data": arrays[field.name].reshape(-1).tolist(),
            }
            for field in fields
        ]
    }


def v01_example(served: Served) -> dict[str, object]:
    """Build the same for Seldon's protocol."""
    fields = served.interface.inputs or (Field("input", "FP32", (1,)),)
    arrays = {name: array.tolist() for name, array in zeros(fields).items()}
    return {"jsonData": arrays} if len(arrays) > 1 else {"data": {"ndarray": next(iter(arrays.values()))}}


def _operation(summary: str, schema: Mapping[str, object] | None, example: object) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": summary,
        "responses": {"200": {"description": "the answer"}, "default": {"description": "one sentence: what is wrong"}},
    }
    if schema is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    return operation


def _v2_schema(served: Served) -> dict[str, object]:
    tensor: dict[str, object] = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": {}},
        },
        "description": "; ".join(f"{f.name}: {f.datatype} {list(f.shape)}" for f in served.interface.inputs),
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor, "minItems": 1}},
    }


def _section(path: str, method: str, operation: Mapping[str, object]) -> str:
    entry = ""
    body = operation.get("requestBody")
    if isinstance(body, dict):
        example = orjson.dumps(body["content"]["application/json"]["example"]).decode()
        entry = f'<textarea aria-label="request body" spellcheck="false">{html.escape(example)}</textarea>'
    shown = f"<b>{method}</b> <code>{html.escape(path)}</code> {html.escape(str(operation['summary']))}"
    return (
        f"<section><details><summary>{shown}</summary>"
        f'<form data-method="{method}" data-path="{html.escape(path)}">{entry}'
        f"<p><button>Send</button></p><pre></pre></form>"
        f"</details></section>"
    )
