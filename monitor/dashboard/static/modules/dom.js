// Making and changing nodes. What stays the same is not touched, so that focus, selection and scroll stay.

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = new Set(["svg", "use", "path", "rect", "g", "line", "title"]);

/** A node: `h("p", {class: "note", dataset: {…}, on: {click: …}}, "text", child)`. Nullish children are left out. */
export function h(tag, properties = {}, ...children) {
  const node = IN_SVG.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

/** One of the page's symbols. It is decoration: a word always stands beside it. */
export function icon(name) {
  return h("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, h("use", { href: `#i-${name}` }));
}

/** Show another symbol in an icon. */
export function setIcon(node, name) {
  setAttribute(node.firstElementChild, "href", `#i-${name}`);
}

/** Set a node's text, if it is another one. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, or remove it when the value is null, if that changes anything. */
export function setAttribute(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** The status of a node, which its colours follow. */
export function setStatus(node, status) {
  if (node.dataset.status !== status) node.dataset.status = status;
}

/** Children of `parent`, one for each of `items` by `key`, in their order: made, updated, moved or removed as needed. */
export class Keyed {
  constructor(parent, key, make) {
    this.parent = parent;
    this.key = key;
    this.make = make;
    this.parts = new Map();
  }

  update(items, ...more) {
    const left = new Set(this.parts.keys());
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      left.delete(key);
      let part = this.parts.get(key);
      if (!part) this.parts.set(key, (part = this.make(item)));
      part.update(item, ...more);
      if (part.node === place) place = place.nextElementSibling;
      else this.parent.insertBefore(part.node, place);
    }
    for (const key of left) {
      this.parts.get(key).node.remove();
      this.parts.delete(key);
    }
  }
}

/** A link to a check: its address is a plain one, to be copied; a click keeps what else is shown (see main.js). */
export function checkLink(name, properties = {}, text = name) {
  return h("a", { href: `#check=${encodeURIComponent(name)}`, dataset: { check: name }, ...properties }, ...[text].flat());
}

/** Show it or not. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

export const byId = (id) => document.getElementById(id);
