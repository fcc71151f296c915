// Work that must not wait for the modules, which run only after the page is parsed. Therefore a classic script.
{
  const root = document.documentElement, base = root.dataset.api;
  try {
    // Set the theme before the first paint, so that the other one does not flash.
    const chosen = localStorage.getItem("monitor-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* no storage: the theme of the system */ }
  // Send the first two requests. modules/api.js uses their responses.
  globalThis.earlyResponses = new Map();
  for (const path of base ? ["snapshot/", "history/overview/?window=24h&points=48"] : []) {
    const response = fetch(base + path, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
    response.catch(() => {}); // modules/api.js handles the error
    globalThis.earlyResponses.set(base + path, response);
  }
}
