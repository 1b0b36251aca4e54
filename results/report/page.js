"use strict";
// Charts and tables of the page, drawn from the data that it holds; nothing is fetched.
(() => {
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures"), tables = read("tables"), style = read("style");
  const views = {}, sorted = {};
  const ROWS = 100;

  const language = () => root.dataset.language;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;

  const records = (columns) => {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, i) =>
      Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  };

  const draw = async (figure) => {
    const { data, spec } = figures[figure.dataset.name];
    if (views[figure.dataset.name]) views[figure.dataset.name].finalize();
    const chart = figure.querySelector(".chart");
    // no request is made for anything that a chart might name
    const whole = { ...spec[language()], datasets: { table: records(data) } };
    views[figure.dataset.name] = await vegaEmbed(chart, whole, {
      renderer: "svg", actions: false, config: style, tooltip: { theme: isDark() ? "dark" : "light" },
    });
  };

  const number = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size >= 1e6) return (value / 1e6).toLocaleString("en", { maximumSignificantDigits: 4 }) + " M";
    if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
    return value.toLocaleString("en", { maximumSignificantDigits: 4 });
  };
  const word = (value) => (value && typeof value === "object" ? value[language()] : value ?? "–");
  const cell = (heading, data, i) => {
    const place = document.createElement("td");
    const value = data[heading.name][i];
    place.className = heading.number ? "" : "word";
    place.textContent = heading.number ? number(value) : word(value);
    const error = heading.error ? data[heading.error][i] : null;
    if (error !== null && value !== null) {
      const shown = document.createElement("span");
      shown.className = "error";
      shown.textContent = " ± " + number(error);
      place.append(shown);
    }
    return place;
  };
  const order = (name, table) => {
    const { by, down } = sorted[name] ?? {};
    const count = (Object.values(table.data)[0] ?? []).length;
    const places = Array.from({ length: count }, (_, i) => i);
    if (by === undefined) return places;
    const values = table.data[by].map(word);
    return places.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return ((x > y) - (x < y)) * (down ? -1 : 1) || a - b;
    });
  };
  const tabulate = (figure, all = false) => {
    const name = figure.dataset.name, table = tables[name];
    const body = document.createElement("tbody"), head = document.createElement("tr");
    for (const heading of table.headings) {
      const place = document.createElement("th");
      place.scope = "col";
      place.tabIndex = 0;
      place.className = heading.number ? "" : "word";
      place.textContent = heading[language()];
      const now = sorted[name];
      if (now?.by === heading.name) place.ariaSort = now.down ? "descending" : "ascending";
      const sort = () => {
        sorted[name] = { by: heading.name, down: now?.by === heading.name ? !now.down : heading.number };
        tabulate(figure, all);
      };
      place.addEventListener("click", sort);
      place.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
      head.append(place);
    }
    const places = order(name, table);
    for (const i of all ? places : places.slice(0, ROWS)) {
      const row = document.createElement("tr");
      row.append(...table.headings.map((heading) => cell(heading, table.data, i)));
      body.append(row);
    }
    const shown = document.createElement("table"), top = document.createElement("thead");
    top.append(head);
    shown.append(top, body);
    const box = figure.querySelector(".table");
    box.replaceChildren(shown);
    if (!all && places.length > ROWS) {
      const more = document.createElement("button");
      more.className = "more";
      more.textContent = `${ROWS} / ${places.length} …`;
      more.addEventListener("click", () => tabulate(figure, true));
      box.append(more);
    }
  };

  // Text that a spreadsheet takes for a formula gets an apostrophe in front; numbers keep their sign.
  const guarded = (text) => {
    const isFormula = /^'*[=+\-@\t\r\n＝＋－＠]/.test(text);
    const isNumber = /^[+-]?(\d+\.?\d*|\.\d+|inf|infinity)(e[+-]?\d+)?$/i.test(text);
    return isFormula && !isNumber ? `'${text}` : text;
  };
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : guarded(String(word(value)));
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (name) => {
    const columns = figures[name] ? figures[name].data : tables[name].data;
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    const lines = [names.map(quoted).join(",")];
    for (let i = 0; i < count; i++) lines.push(names.map((n) => quoted(columns[n][i])).join(","));
    return lines.join("\n") + "\n";
  };
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const exported = async (name, as) => {
    if (as === "csv") return save(new Blob(["\ufeff" + csv(name)], { type: "text/csv" }), `${name}.csv`);
    const svg = (await views[name].view.toSVG()).replaceAll("currentColor", "#222222");
    if (as === "svg") return save(new Blob([svg], { type: "image/svg+xml" }), `${name}.svg`);
    const picture = new Image();
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * picture.width;
    canvas.height = 2 * picture.height;
    const context = canvas.getContext("2d");
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");
  };

  const show = async () => {
    for (const figure of document.querySelectorAll("figure")) {
      if (figures[figure.dataset.name]) await draw(figure);
      else tabulate(figure);
    }
    root.dataset.drawn = language();
  };
  for (const button of document.querySelectorAll("button[data-as]")) {
    const name = button.closest("figure").dataset.name;
    button.addEventListener("click", () => exported(name, button.dataset.as));
  }
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  document.getElementById("language").addEventListener("click", () => {
    root.dataset.language = root.lang = language() === "en" ? "zh" : "en";
    show();
  });
  document.getElementById("print").addEventListener("click", () => print());
  show();
})();
