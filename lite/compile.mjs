// Compile the Python of the unpacked archives in a folder with the very Python that will run it:
// `node compile.mjs RUNTIME FOLDER`.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [runtime, folder] = process.argv.slice(2).map((path) => resolve(path));
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`).href);
const python = await loadPyodide({ indexURL: runtime });
python.FS.mkdirTree("/sources");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/sources");
const failed = python.runPython(`
import pathlib, py_compile
failed = []
for source in pathlib.Path("/sources").rglob("*.py"):
    name = "/".join(source.relative_to("/sources").parts[1:])
    # The hash is not looked up at run time, and the file is the same whenever it was compiled.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(source, source.with_suffix(".pyc"), dfile=name, doraise=True, invalidation_mode=mode)
    except py_compile.PyCompileError as error:
        failed.append(f"{name}: {error.msg}")
"\\n".join(failed)`);
if (failed) console.error(failed);
