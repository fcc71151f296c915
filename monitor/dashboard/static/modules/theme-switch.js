// Theme switch: auto (the theme of the system), light or dark.

import { byId, setAttribute, setText } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** Connect the switch to its button. `onChange()` is called after each change of the theme. */
export function connectThemeSwitch(onChange) {
  const button = byId("theme"), root = document.documentElement;
  const showChoice = () => {
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
    } catch { /* The browser permits no storage: the choice is lost when the page is closed. */ }
    showChoice();
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  showChoice();
}
