// Before anything is painted, so that a chosen theme does not flash: a classic script, for modules come later.
try {
  const chosen = localStorage.getItem("monitor-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage: the system's choice */ }
