const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// An element of HTML, or of SVG, with attributes and children.
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const html = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const label = (x, y, words, attributes = {}) => svg("text", { x, y, "font-size": 14, ...attributes }, words);

// A number in a fixed count of digits; zero has no sign.
function fixed(value, digits = 3) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

// Read a slider, and write its value beside it.
function read(name) {
  $(name + "-value").textContent = $(name).value;
  return Number($(name).value);
}
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

// Call `show` whenever an input on the page changes, and once now.
function live(show) {
  document.addEventListener("input", show);
  show();
}
