// Draws the OpenAPI document. Text is set as text only, so nothing in it can become markup.
const find = (id) => document.getElementById(id);
const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const pretty = (value) => JSON.stringify(value, null, 2);
let api;

const resolve = (schema) => {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...api.components.schemas[name] } : schema;
};

// A body to begin with, made of the schema; the depth is bounded because schemas may refer to themselves.
const sample = (schema, depth = 0) => {
  const full = resolve(schema) ?? {};
  if (depth > 5) return null;
  if (full.default !== undefined) return full.default;
  if (full.const !== undefined) return full.const;
  if (full.enum) return full.enum[0];
  const choice = full.oneOf?.[0] ?? full.anyOf?.[0];
  if (choice) return sample(choice, depth + 1);
  const type = [full.type].flat()[0];
  if (type === "object" || full.properties) {
    const entries = Object.entries(full.properties ?? {});
    return Object.fromEntries(entries.map(([key, value]) => [key, sample(value, depth + 1)]));
  }
  return { array: [], integer: 0, number: 0, boolean: false, string: "" }[type] ?? null;
};

const field = (form, label, id, control = "input") => {
  form.append(element("label", label, { for: id }));
  const made = element(control, undefined, { id, autocomplete: "off", spellcheck: "false" });
  form.append(made);
  return made;
};

const tryForm = (path, method, operation) => {
  const form = element("form");
  const inputs = (operation.parameters ?? []).map((parameter) => [
    parameter,
    field(form, `${parameter.name} (${parameter.in}${parameter.required ? ", required" : ""})`, `${operation.operationId}-${parameter.name}`),
  ]);
  const json = operation.requestBody?.content?.["application/json"];
  const body = json && field(form, "Body", `${operation.operationId}-body`, "textarea");
  if (body) body.value = pretty(sample(json.schema));
  const answer = element("pre", "", { hidden: "", tabindex: "0", "aria-label": "Answer" });
  form.append(element("button", "Send", { type: "submit" }), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    const headers = body ? { "content-type": "application/json" } : {};
    if (find("token").value) headers.authorization = `Bearer ${find("token").value.trim()}`;
    const target = query.size ? `${address}?${query}` : address;
    answer.hidden = false;
    try {
      const response = await fetch(target, { method: method.toUpperCase(), headers, body: body?.value });
      const text = await response.text();
      let shown = text;
      try { shown = pretty(JSON.parse(text)); } catch { /* not JSON: shown as it is */ }
      answer.textContent = `${response.status}\n${shown}`;
    } catch (error) {
      answer.textContent = `No answer: ${error.message}`;
    }
  });
  return form;
};

const schemaBlock = (title, content) => {
  const schema = content && Object.values(content)[0]?.schema;
  if (!schema) return [];
  return [element("p", title), element("pre", pretty(resolve(schema)), { tabindex: "0" })];
};

const draw = (path, method, operation) => {
  const details = element("details");
  const summary = element("summary");
  summary.append(element("code", method.toUpperCase(), { class: "method" }), element("code", path), ` ${operation.summary ?? ""}`);
  details.append(summary);
  details.dataset.words = `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
  details.addEventListener("toggle", () => {
    if (!details.open || details.dataset.drawn) return;
    details.dataset.drawn = "yes";
    if (operation.description) details.append(element("p", operation.description));
    details.append(...schemaBlock("Request", operation.requestBody?.content));
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      details.append(...schemaBlock(`Answer ${status}`, response.content));
    }
    details.append(tryForm(path, method, operation));
  });
  return details;
};

const start = async () => {
  api = await (await fetch("/api/openapi.json")).json();
  find("about").textContent = api.info.description;
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(draw(path, method, operation));
    }
  }
  for (const [tag, drawn] of groups) {
    const section = element("section");
    section.append(element("h2", tag), ...drawn);
    find("endpoints").append(section);
  }
};

find("token-form").addEventListener("submit", (event) => event.preventDefault());
find("filter").addEventListener("input", () => {
  const words = find("filter").value.toLowerCase().split(/\s+/);
  for (const details of document.querySelectorAll("details")) {
    details.hidden = !words.every((word) => details.dataset.words.includes(word));
  }
});
start().catch(() => { find("about").textContent = "The document could not be read. Reload the page."; });
