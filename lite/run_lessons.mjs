// Run notebooks with the site's own Python and kernel, each in a fresh one, the network replaced by a refusal:
// `node run_lessons.mjs SITE NOTEBOOK...`. Prints one JSON line a cell, and a last one with the attempts to reach out.
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [site, ...books] = process.argv.slice(2).map((path) => resolve(path));
const runtime = resolve(site, "static/pyodide");
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`).href);
const config = JSON.parse(readFileSync(resolve(site, "jupyter-lite.json"), "utf8"))["jupyter-config-data"];
const { packages } = config.litePluginSettings["@jupyterlite/pyodide-kernel-extension:kernel"].loadPyodideOptions;
const attempts = [];
for (const name of ["fetch", "WebSocket", "XMLHttpRequest"])
  globalThis[name] = function (address) {
    attempts.push(String(address?.url ?? address));
    throw new Error(`the network is off in tests: ${name} ${attempts.at(-1)}`);
  };

// What the kernel's worker in the page does for a cell, with its messages kept instead of sent.
const START = `
import json
import pyodide_kernel

kernel, outputs = pyodide_kernel.kernel_instance, []
shell = kernel.interpreter

def keep(kind):
    return lambda *parts: outputs.append([kind, *parts])

async def run(source):
    outputs.clear()
    for stream in (pyodide_kernel.stdout_stream, pyodide_kernel.stderr_stream):
        stream.publish_stream_callback = keep("stream")
    shell.display_pub.display_data_callback = keep("display")
    shell.display_pub.update_display_data_callback = keep("update")
    shell.display_pub.clear_output_callback = keep("clear")
    shell.displayhook.publish_execution_result = keep("result")
    shell.send_comm = keep("comm")
    def nobody_there(prompt=""):
        raise EOFError("nobody is there to type")
    shell.input = shell.getpass = nobody_there
    kernel._parent_header = {"header": {}}
    reply = await kernel.run(source)
    error = {name: reply.get(name) for name in ("ename", "evalue")} if reply["status"] == "error" else {}
    return json.dumps({**error, "outputs": outputs}, default=str)
`;

for (const book of books) {
  const env = { HOME: "/home/pyodide", CHATKIT_SPEED: "0", CHATKIT_FPS: "0" };
  const python = await loadPyodide({ indexURL: runtime, packages, env, stdout: () => {}, stderr: () => {} });
  await python.runPythonAsync(START);
  const run = python.globals.get("run");
  const cells = JSON.parse(readFileSync(book, "utf8")).cells;
  for (const [cell, { cell_type, source }] of cells.entries()) {
    if (cell_type !== "code") continue;
    const result = JSON.parse(await run([source].flat().join("")));
    console.log(JSON.stringify({ notebook: basename(book), cell, ...result }));
  }
}
console.log(JSON.stringify({ attempts }));
process.exit(0);
