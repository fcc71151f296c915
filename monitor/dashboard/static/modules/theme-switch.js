// Auto, light or dark: what the system says, unless somebody chose.

import { byId, setAttribute, setText } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** Wire the switch; `changed()` is called whenever the page looks different. */
export function wireTheme(changed) {
  const button = byId("theme"), root = document.documentElement;
  const tell = () => {
    const name = root.dataset.theme ?? "auto";
    setText(byId("theme-name"), name);
    setAttribute(button, "aria-label", `Theme: ${name}`);
  };
  button.addEventListener("click", () => {
    const chosen = NEXT[root.dataset.theme ?? "auto"];
    if (chosen === "auto") delete root.dataset.theme;
    else root.dataset.theme = chosen;
    try {
      localStorage.setItem("monitor-theme", chosen);
    } catch { /* no storage: until the page is left */ }
    tell();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  tell();
}
