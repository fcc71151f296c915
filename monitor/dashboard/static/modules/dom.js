// Creation and changes of nodes. A node changes only if its content differs, so that focus, selection and scroll position stay.

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = new Set(["svg", "use", "path", "rect", "g", "line", "title"]);

/** Create a node: `h("p", {class: "note", dataset: {…}, on: {click: …}}, "text", child)`. Null and undefined children are left out. */
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

/** Create a symbol. Screen readers ignore it, so the same must be shown in words. */
export function icon(name) {
  return h("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, h("use", { href: `#i-${name}` }));
}

/** Change the symbol of an icon. */
export function setIcon(node, name) {
  setAttribute(node.firstElementChild, "href", `#i-${name}`);
}

/** Set the text of a node, if it differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, if its value differs; null removes the attribute. */
export function setAttribute(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Set the status of a node, which determines its colours. */
export function setStatus(node, status) {
  if (node.dataset.status !== status) node.dataset.status = status;
}

/**
 * Children of `parent`, one for each item. `key(item)` identifies the child of an item, and `make(item)` creates it.
 * `update` creates, updates, moves and removes children.
 */
export class Keyed {
  constructor(parent, key, make) {
    this.parent = parent;
    this.key = key;
    this.make = make;
    this.children = new Map();
  }

  update(items, ...more) {
    const obsolete = new Set(this.children.keys());
    let next = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      obsolete.delete(key);
      let child = this.children.get(key);
      if (!child) this.children.set(key, (child = this.make(item)));
      child.update(item, ...more);
      if (child.node === next) next = next.nextElementSibling;
      else this.parent.insertBefore(child.node, next);
    }
    for (const key of obsolete) {
      this.children.get(key).node.remove();
      this.children.delete(key);
    }
  }
}

/** Create a link to a check. A click keeps the filter and the time of the page (see main.js); in a new tab, only the check is shown. */
export function checkLink(name, properties = {}, text = name) {
  return h("a", { href: `#check=${encodeURIComponent(name)}`, dataset: { check: name }, ...properties }, ...[text].flat());
}

/** Show or hide a node. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

export const byId = (id) => document.getElementById(id);
