// What cannot wait for the modules, which are parsed first and run after the page is: a classic script.
{
  const root = document.documentElement, base = root.dataset.api;
  try {
    // Before anything is painted, so that a chosen theme does not flash.
    const chosen = localStorage.getItem("monitor-theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch { /* no storage: the system's choice */ }
  // The first two questions; modules/api.js takes their answers.
  globalThis.earlyAnswers = new Map();
  for (const path of base ? ["snapshot/", "history/overview/?window=24h&points=48"] : []) {
    const answer = fetch(base + path, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
    answer.catch(() => {}); // whoever takes it will see
    globalThis.earlyAnswers.set(base + path, answer);
  }
}
