const WIDTH = 380, ROW = 74, TOP = 46, MIDDLE = 190, SKIP = 330;
const chain = data.chain;
const place = (name) => TOP + ROW * (name === "x" ? 0 : chain.indexOf(name) + 1);
const isLeaf = (name) => !chain.includes(name);

// Everything after `count` steps: who waits in `pending`, the gradient on each edge, what x got.
function state(count) {
  const pending = new Map([["relu2", data.steps[0].dy]]), edges = new Map(), done = new Set();
  for (const step of data.steps.slice(0, count)) {
    if (step.parts) {
      pending.set("x", step.total);
      continue;
    }
    pending.delete(step.node);
    done.add(step.node);
    for (const [name, gradient] of Object.entries(step.gives)) {
      edges.set(step.node + ">" + name, gradient);
      if (!pending.has(name)) pending.set(name, gradient);
    }
  }
  return { pending, edges, done };
}

function sentence(count) {
  if (count === 0) return `The gradient of the output is there, its norm is ${fixed(data.steps[0].dy[0])}. No record has run yet.`;
  const step = data.steps[count - 1];
  if (step.parts) {
    const [[normA, a], [normB, b]] = step.parts.map((part) => part.map((v) => fixed(v)));
    const [norm, total] = step.total.map((v) => fixed(v));
    return "Sum: x had a gradient already, from add. " +
      `Element 0: ${a} + ${b} = ${total}. The norms ${normA} and ${normB} give ${norm}.`;
  }
  const gives = Object.entries(step.gives).map(([name, g]) => `${fixed(g[0])} to ${name}`).join(", ");
  const next = data.steps[count];
  const waits = next && next.parts ? " x has one already: the next step adds them." : "";
  return `${step.node}: takes a gradient of norm ${fixed(step.dy[0])}, hands ${gives}.${waits}`;
}

function box(name, x, y, width, kind) {
  const thick = kind === "active" ? 4 : 1.5;
  const colour = { active: "--orange", done: "--blue", waiting: "--line" }[kind];
  const fillColour = { active: "--mark", done: "--soft", waiting: "--paper" }[kind];
  return svg("g", {}, svg("rect", { x: x - width / 2, y: y - 17, width, height: 34,
    rx: isLeaf(name) ? 17 : 4, "stroke-width": thick, style: `fill: var(${fillColour}); stroke: var(${colour})` }),
    label(x, y + 5, name + (kind === "done" ? " ✓" : ""), { "text-anchor": "middle" }));
}

// An edge from (x1,y1) to (x2,y2); once a gradient has gone along it, thick and with its norm.
function edge(path, gradient, x, y, isNew, anchor = "start") {
  const colour = isNew ? "--orange" : gradient ? "--blue" : "--line";
  const shapes = [svg("path", { d: path, fill: "none", "stroke-width": gradient ? 4 : 1.5,
    "stroke-dasharray": gradient ? "none" : "4 4", style: `stroke: var(${colour})` })];
  if (gradient) shapes.push(label(x, y, fixed(gradient[0]), { "text-anchor": anchor, "font-weight": isNew ? 700 : 400 }));
  return svg("g", {}, ...shapes);
}

function picture(count) {
  const { pending, edges, done } = state(count);
  const step = data.steps[count - 1], active = step ? step.node : "";
  const shapes = [];
  const end = place("relu2");
  shapes.push(edge(`M${MIDDLE} ${end + 17} V${end + 52}`, data.steps[0].dy, MIDDLE + 10, end + 42, count === 0));
  for (const node of chain)
    for (const name of data.inputs[node]) {
      const gradient = edges.get(node + ">" + name), isNew = node === active, y = place(node);
      if (node === "add" && name === "x") {
        const from = place("x");
        shapes.push(edge(`M${MIDDLE + 40} ${y} H${SKIP} V${from} H${MIDDLE + 40}`, gradient, SKIP - 8, (y + from) / 2, isNew, "end"));
      } else if (!isLeaf(name) || name === "x") {
        shapes.push(edge(`M${MIDDLE} ${y - 17} V${place(name) + 17}`, gradient, MIDDLE + 10, y - ROW / 2 + 5, isNew));
      } else {
        const at = data.inputs[node].indexOf(name), height = y + (data.inputs[node].length > 2 ? (at - 1.5) * 34 : 0);
        shapes.push(edge(`M${MIDDLE - 40} ${y} L62 ${height}`, gradient, 70, height - (at === 1 ? 8 : -18), isNew));
        shapes.push(label(58, height + 5, name, { "text-anchor": "end", "font-weight": gradient ? 700 : 400 }));
      }
    }
  for (const node of chain)
    shapes.push(box(node, MIDDLE, place(node), 80, node === active ? "active" : done.has(node) ? "done" : "waiting"));
  const whole = count === data.steps.length;
  shapes.push(box("x", MIDDLE, place("x"), 80, active === "x" ? "active" : whole ? "done" : "waiting"));
  if (pending.has("x")) shapes.push(label(MIDDLE, TOP - 26, `gradient of x: ${fixed(pending.get("x")[0])}`, { "text-anchor": "middle", "font-weight": 700 }));
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${end + 60}`, role: "img",
    "aria-label": "The block from its input x, on top, down to its output; gradients go upward" }, ...shapes);
}

function show() {
  const count = read("step");
  $("step-value").textContent = `${count} of ${data.steps.length}`;
  $("sentence").textContent = sentence(count);
  $("picture").replaceChildren(picture(count));
  $("pending").replaceChildren(...[...state(count).pending].map(([name, [norm, first]]) =>
    html("tr", { "data-of": name }, html("td", {}, name + (isLeaf(name) ? " (leaf)" : "")),
      html("td", {}, fixed(norm)), html("td", {}, fixed(first)))));
  $("previous").disabled = count === 0;
  $("next").disabled = count === data.steps.length;
}

function move(by) {
  $("step").value = Number($("step").value) + by;
  show();
}
$("step").max = data.steps.length;
$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);
live(show);
