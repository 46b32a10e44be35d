"use strict";
// Tables that sort by a click on a heading (or by a list, where a narrow screen has no headings) and filter by words.
for (const table of document.querySelectorAll("table[data-sorts]")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column], number = Number(cell.dataset.key);
    return cell.dataset.key === undefined ? cell.textContent : Number.isNaN(number) ? cell.dataset.key : number;
  };
  const compare = (one, other) => typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
  const sort = (column, way) => {
    heads.forEach((head, at) => at === column ? head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    rows.sort((one, other) => way * compare(key(one, column), key(other, column)));
    body.append(...rows);
  };
  const words = document.createElement("input"), list = document.createElement("select"), count = document.createElement("span");
  const shown = () => { count.textContent = rows.filter((row) => !row.hidden).length + " of " + rows.length; };
  words.type = "search";
  words.addEventListener("input", () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word));
    shown();
  });
  list.add(new Option("as found", ""));
  heads.forEach((head, column) => {
    const button = document.createElement("button"), first = rows.length && typeof key(rows[0], column) === "number" ? -1 : 1;
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(column, now ? (now === "ascending" ? -1 : 1) : first);
      list.value = String(column);
    });
    list.add(new Option(head.textContent, String(column)));
    list.addEventListener("change", () => { if (list.value === String(column)) sort(column, first); });
    head.replaceChildren(button);
  });
  const tools = document.createElement("div");
  tools.className = "tools";
  for (const [name, field] of [["Filter", words], ["Sort by", list]]) {
    const label = document.createElement("label");
    label.append(name, field);
    tools.append(label);
  }
  tools.append(count);
  count.className = "soft";
  table.parentElement.before(tools);
  shown();
}
