// Controls of a slide: each shows a value, and says when a person chooses another.

/** An element with attributes, listeners (`onclick`) and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const KINDS = {
  switch(control, chosen) {
    const input = make("input", {
      type: "checkbox",
      role: "switch",
      "data-name": control.name,
      onchange: () => chosen(input.checked ? "1" : "0"),
    });
    return {
      element: make(
        "label",
        { class: "switch", title: control.help },
        input,
        make("span", { class: "track" }),
        make("span", {}, control.label),
      ),
      set: (value) => {
        input.checked = value === "1";
      },
      enable: (able) => {
        input.disabled = !able;
      },
    };
  },
  slider(control, chosen) {
    const shown = make("output", {});
    const input = make("input", {
      type: "range",
      min: 0,
      max: control.values.length - 1,
      step: 1,
      "data-name": control.name,
      oninput: () => chosen(control.values[input.value]),
    });
    return {
      element: make(
        "label",
        { class: "slider", title: control.help },
        make("span", { class: "line" }, make("span", {}, control.label), shown),
        input,
      ),
      set(value) {
        input.value = control.values.indexOf(value);
        shown.textContent = control.labels[input.value];
        input.setAttribute("aria-valuetext", shown.textContent);
      },
      enable: (able) => {
        input.disabled = !able;
      },
    };
  },
  choice(control, chosen) {
    const buttons = control.values.map((value, k) =>
      make(
        "button",
        { type: "button", "data-value": value, onclick: () => chosen(value) },
        control.labels[k],
      ),
    );
    return {
      element: make(
        "div",
        {
          class: "choice",
          role: "group",
          "aria-label": control.label,
          title: control.help,
          "data-name": control.name,
        },
        make("span", {}, control.label),
        make("div", { class: "row" }, ...buttons),
      ),
      set: (value) =>
        buttons.forEach((each) => each.setAttribute("aria-pressed", each.dataset.value === value)),
      enable: (able) =>
        buttons.forEach((each) => {
          each.disabled = !able;
        }),
    };
  },
  list(control, chosen) {
    const options = control.values.map((value, k) => make("option", { value }, control.labels[k]));
    const input = make(
      "select",
      {
        "data-name": control.name,
        onchange: () => {
          chosen(input.value);
          input.blur();
        },
      },
      ...options,
    );
    return {
      element: make("label", { class: "list" }, make("span", {}, control.label), input),
      set: (value) => {
        input.value = value;
      },
      enable: (able) => {
        input.disabled = !able;
      },
    };
  },
};

/**
 * The controls of a step.
 *
 * `chosen(name, value)` is called when a person sets one; the answer has `element`, and
 * `set(values)` which shows values.
 */
function makeControls(step, chosen) {
  const made = step.controls.map((control) => [
    control,
    KINDS[control.kind](control, (value) => chosen(control.name, value)),
  ]);
  const lists = made.filter(([control]) => control.kind === "list").map(([, each]) => each.element);
  const others = made
    .filter(([control]) => control.kind !== "list")
    .map(([, each]) => each.element);
  const element = make(
    "div",
    { class: "controls" },
    ...(lists.length ? [make("div", { class: "pair" }, ...lists)] : []),
    ...others,
  );
  const set = (values) =>
    made.forEach(([control, each]) => {
      each.set(values[control.name]);
      each.enable(!control.needs || values[control.needs] === "1");
    });
  return { element, set };
}

/** The settings on the way from some values to others: a slider passes every value between. */
function sweep(step, from, to) {
  const sliders = step.controls.filter(
    (control) => control.kind === "slider" && from[control.name] !== to[control.name],
  );
  const places = (values) => sliders.map((control) => control.values.indexOf(values[control.name]));
  const first = places(from),
    last = places(to);
  const count = Math.max(1, ...first.map((place, k) => Math.abs(last[k] - place)));
  return range(count).map((k) => {
    const found = { ...to };
    sliders.forEach((control, i) => {
      found[control.name] =
        control.values[Math.round(first[i] + ((last[i] - first[i]) * (k + 1)) / count)];
    });
    return found;
  });
}
