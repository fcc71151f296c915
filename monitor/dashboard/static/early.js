// Theme and first requests. A classic script, because modules run only after the page is parsed.
{
  const root = document.documentElement, base = root.dataset.api;
  try {
    // Set the theme before the first paint. Otherwise the page would flash in the theme of the system.
    const chosen = localStorage.getItem("monitor-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* The browser permits no storage: the theme of the system is used. */ }
  // Send the first two requests. modules/api.js uses their responses.
  globalThis.earlyResponses = new Map();
  for (const path of base ? ["snapshot/", "history/overview/?window=24h&points=48"] : []) {
    const response = fetch(base + path, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
    response.catch(() => {}); // modules/api.js handles the error
    globalThis.earlyResponses.set(base + path, response);
  }
}
