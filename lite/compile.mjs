// With the very Python that will run them:
//   node compile.mjs RUNTIME trace            print the modules that a lesson imports, as a JSON list
//   node compile.mjs RUNTIME FOLDER < LIST    compile the files of a JSON list, each beside itself
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [runtime, what] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(runtime, "pyodide.mjs")).href);
const python = await loadPyodide({ indexURL: resolve(runtime), stdout: () => {} });

if (what === "trace") {
  const { packages } = JSON.parse(readFileSync(resolve(runtime, "pyodide-lock.json"), "utf8"));
  await python.loadPackage(Object.keys(packages), { messageCallback: () => {} });
  const modules = await python.runPythonAsync(`
import json, sys
import pyodide_kernel
import chatkit, chatkit.faults, chatkit.figures, chatkit.tokens, chatkit.widget
import climate, genai_prices, ipywidgets, openai
chatkit.start("01_setup")
openai.OpenAI().chat.completions, openai.AsyncOpenAI().chat.completions
chatkit.tokens.count("")
genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "gpt-4o", provider_id="openai")
json.dumps(sorted(sys.modules))`);
  console.log(modules);
} else {
  python.FS.mkdirTree("/sources");
  python.FS.mount(python.FS.filesystems.NODEFS, { root: resolve(what) }, "/sources");
  python.globals.set("paths", readFileSync(0, "utf8"));
  python.runPython(`
import json, py_compile
for path in json.loads(paths):
    # The hash is not looked up at run time, and the file is the same whenever it was compiled.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    shown = path.partition("/")[2]
    source, target = f"/sources/{path}", f"/sources/{path}c"
    py_compile.compile(source, target, dfile=shown, doraise=True, invalidation_mode=mode)`);
}
process.exit(0);
