// look returns what is wrong with the page as it is shown now: texts that are hard to read, things that stick out, numbers
// and names that are broken in two, and targets that a finger misses.
(() => {
  const pixel = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) known.set(color, paint(color));
    return known.get(color);
  };
  const paint = (color) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  const shown = (e) => e.checkVisibility({visibilityProperty: true}) && getComputedStyle(e).clipPath === "none" && !e.closest("thead, .hidden, .skip, defs, title, desc, head");
  const found = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !shown(e)) continue;
    texts++;
    const style = getComputedStyle(e);
    const below = behind(e);
    const ratio = contrast(over(rgba(e instanceof SVGElement ? style.fill : style.color), below), below);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)} of ${JSON.stringify(node.data.trim().slice(0, 60))}`);
    if (parseFloat(style.fontSize) < 12) found.push(`${style.fontSize} letters in ${JSON.stringify(node.data.trim().slice(0, 60))}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.right > innerWidth + 0.5 || box.left < -0.5) found.push(`outside: ${JSON.stringify(node.data.trim().slice(0, 60))} from ${box.left} to ${box.right}`);
    const cell = e.closest("td, th, .tile");
    if (!cell) continue;
    for (const frame of [cell, cell.closest(".panel, .tiles, .dossier")].map((f) => f.getBoundingClientRect())) {
      if (box.right > frame.right + 0.5 || box.left < frame.left - 0.5) found.push(`beyond its frame: ${JSON.stringify(node.data.trim().slice(0, 60))} from ${box.left} to ${box.right}, not ${frame.left} to ${frame.right}`);
    }
    const padding = getComputedStyle(cell);
    const room = cell.getBoundingClientRect().width - parseFloat(padding.paddingLeft) - parseFloat(padding.paddingRight);
    for (const word of node.data.matchAll(e.closest(".number, .tile strong, time") ? /\S.*\S|\S/g : /[A-Za-z0-9]+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = [...range.getClientRects()].filter((r) => r.width > 0);
      const width = lines.reduce((sum, r) => sum + r.width, 0);
      if (new Set(lines.map((r) => Math.round(r.top))).size > 1 && width <= room) found.push(`broken: ${JSON.stringify(word[0])} of ${JSON.stringify(node.data.trim().slice(0, 60))}`);
    }
  }
  const panel = behind(document.querySelector(".panel"));
  for (const e of document.querySelectorAll("pattern > rect:first-child, .mark")) {
    const ratio = contrast(rgba(getComputedStyle(e).fill), panel);
    if (ratio < 3) found.push(`contrast ${ratio.toFixed(2)} of the mark ${e.getAttribute("class")}`);
  }
  for (const e of document.querySelectorAll("a, summary")) {
    if (!shown(e)) continue;
    const box = e.getBoundingClientRect();
    if (box.width < 24 || box.height < 24) found.push(`target of ${box.width}×${box.height}: ${JSON.stringify(e.textContent.trim().slice(0, 60))}`);
  }
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push(`the page is ${width} wide on a screen of ${innerWidth}`);
  return {texts, found};
})()
