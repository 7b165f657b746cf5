// A kernel that starts before JupyterLite has found its service worker keeps no files, and on a second visit JupyterLite
// first puts the worker away. So it is there, and known to be of this version, before the page goes on.
if (navigator.serviceWorker) {
  const site = new URL("..", document.baseURI);
  const worker = new URL("service-worker.js?enableCache=false", site).href;
  try {
    const config = await (await fetch(new URL("jupyter-lite.json", site))).json();
    await navigator.serviceWorker.register(worker);
    await navigator.serviceWorker.ready;
    localStorage.setItem(`${worker}-version`, config["jupyter-config-data"].appVersion);
  } catch (error) {
    console.warn("no service worker: files are not kept", error); // a private window, say
  }
}
