'use strict';
// The page of one model. What the server sends is shown as text, never as markup.

const place = id => document.getElementById(id);
const INK = 'white', PAPER = 'black', PAPER_SIDE = 280;

function made(kind, properties = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class') element.className = value; else element[name] = value;
  }
  element.append(...children);
  return element;
}

function labelled(text, control, className = '') {
  return made('label', {class: className}, ...(className === 'beside'
    ? [control, made('span', {textContent: text})] : [made('span', {textContent: text}), control]));
}

// -- forms: each puts its fields on the page and gives back what makes the tensors of a request ---------------------

function textForm(form, fields) {
  const area = made('textarea', {id: 'text', required: true, placeholder: 'Type or paste a text'});
  fields.append(labelled(form.name, area));
  const size = form.shape.reduce((product, length) => product * length, 1);
  return () => ({inputs: [tensor(form, Array(size).fill(area.value))]});
}

function rowForm(form, fields) {
  const grid = made('div', {class: 'grid'}), controls = [];
  form.cells.forEach((cell, number) => {
    const control = cellControl(cell.datatype);
    control.id = `cell-${number}`;
    controls.push([cell, control]);
    grid.append(labelled(cell.label, control, control.type === 'checkbox' ? 'beside' : ''));
  });
  fields.append(grid);
  return () => ({inputs: form.inputs.map(input => tensor(input,
    controls.filter(([cell]) => cell.input === input.name).map(([cell, control]) => cellValue(cell, control))))});
}

function cellControl(datatype) {
  if (datatype === 'BOOL') return made('input', {type: 'checkbox'});
  if (datatype === 'BYTES') return made('input', {type: 'text', required: true});
  return made('input', {type: 'number', required: true, step: datatype.startsWith('FP') ? 'any' : '1',
    inputMode: datatype.startsWith('FP') ? 'decimal' : 'numeric'});
}

function cellValue(cell, control) {
  if (cell.datatype === 'BOOL') return control.checked;
  return cell.datatype === 'BYTES' ? control.value : Number(control.value);
}

function rawForm(form, fields) {
  const area = made('textarea', {id: 'raw', class: 'code', required: true, spellcheck: false,
    value: JSON.stringify(form.example, null, 1)});
  fields.append(labelled('Request, Open Inference Protocol v2', area));
  return () => {
    try { return JSON.parse(area.value); } catch (error) { throw new Error(`This is not JSON: ${error.message}`); }
  };
}

function imageForm(form, fields) {
  const paper = made('canvas', {id: 'paper', class: 'paper', width: PAPER_SIDE,
    height: Math.round(PAPER_SIDE * form.height / form.width)});
  paper.setAttribute('aria-label', 'Draw here');
  const seen = made('canvas', {id: 'seen', class: 'seen', width: form.width, height: form.height});
  seen.setAttribute('role', 'img');
  seen.setAttribute('aria-label', 'What the model sees');
  const file = made('input', {id: 'file', type: 'file', accept: 'image/*'});
  const inverted = made('input', {id: 'inverted', type: 'checkbox'});
  const most = made('select', {id: 'most'}, made('option', {value: '255', textContent: '0 to 255'}),
    made('option', {value: '1', textContent: '0 to 1'}));
  most.value = String(form.most);
  const clear = made('button', {id: 'clear', type: 'button', textContent: 'Clear'});
  const look = () => reduced(paper, seen, inverted.checked, form.channels);
  fields.append(
    made('div', {class: 'pictures'},
      made('figure', {}, made('figcaption', {textContent: 'Draw here, or choose a picture'}), paper),
      made('figure', {}, made('figcaption', {textContent: 'The model sees'}), seen)),
    made('p', {class: 'buttons'}, clear), labelled('Picture', file),
    labelled('Swap light and dark', inverted, 'beside'));
  if (form.datatype.startsWith('FP')) fields.append(labelled('Values of the pixels', most));
  const wipe = () => { ink(paper).fillRect(0, 0, paper.width, paper.height); file.value = ''; look(); };
  clear.addEventListener('click', wipe);
  inverted.addEventListener('change', look);
  file.addEventListener('change', () => file.files[0] && shown(paper, file.files[0]).then(look, fail));
  drawing(paper, look);
  wipe();
  return () => ({inputs: [tensor(form, pixels(seen, form, Number(most.value)))]});
}

function ink(paper) {
  const context = paper.getContext('2d', {willReadFrequently: true});
  context.fillStyle = PAPER;
  return context;
}

function drawing(paper, look) {
  let last = null;
  const at = event => {
    const box = paper.getBoundingClientRect();
    return [(event.clientX - box.left) * paper.width / box.width, (event.clientY - box.top) * paper.height / box.height];
  };
  const stroke = point => {
    const context = ink(paper);
    Object.assign(context, {strokeStyle: INK, lineWidth: PAPER_SIDE / 14, lineCap: 'round', lineJoin: 'round'});
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...point);
    context.stroke();
    last = point;
  };
  paper.addEventListener('pointerdown', event => {
    paper.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(last);
    event.preventDefault();
  });
  paper.addEventListener('pointermove', event => { if (last) stroke(at(event)); });
  for (const name of ['pointerup', 'pointercancel']) {
    paper.addEventListener(name, () => { if (last) { last = null; look(); } });
  }
}

async function shown(paper, file) {
  let picture;
  try { picture = await createImageBitmap(file); } catch { throw new Error(`${file.name} is no picture that this browser can read.`); }
  const context = ink(paper), scale = Math.min(paper.width / picture.width, paper.height / picture.height);
  const width = picture.width * scale, height = picture.height * scale;
  context.fillRect(0, 0, paper.width, paper.height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, (paper.width - width) / 2, (paper.height - height) / 2, width, height);
  picture.close();
}

// What the model gets: the paper at the model's size, each of its pixels the mean of those it stands for.
function reduced(paper, seen, inverted, channels) {
  const {width, height} = seen, from = ink(paper).getImageData(0, 0, paper.width, paper.height).data;
  const context = seen.getContext('2d', {willReadFrequently: true}), image = context.createImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const mean = area(from, paper, x, y, width, height), to = 4 * (y * width + x);
    const grey = Math.round(0.299 * mean[0] + 0.587 * mean[1] + 0.114 * mean[2]);
    for (let channel = 0; channel < 3; channel++) {
      const value = channels === 1 ? grey : Math.round(mean[channel]);
      image.data[to + channel] = inverted ? 255 - value : value;
    }
    image.data[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function area(from, paper, x, y, width, height) {
  const left = Math.floor(x * paper.width / width), top = Math.floor(y * paper.height / height);
  const right = Math.max(left + 1, Math.floor((x + 1) * paper.width / width));
  const bottom = Math.max(top + 1, Math.floor((y + 1) * paper.height / height)), sum = [0, 0, 0];
  for (let row = top; row < bottom; row++) for (let column = left; column < right; column++) {
    for (let channel = 0; channel < 3; channel++) sum[channel] += from[4 * (row * paper.width + column) + channel];
  }
  return sum.map(value => value / ((right - left) * (bottom - top)));
}

function pixels(seen, form, most) {
  const {data} = seen.getContext('2d').getImageData(0, 0, form.width, form.height);
  const count = form.width * form.height, values = [];
  const value = (pixel, channel) => most === 255 ? data[4 * pixel + channel] : data[4 * pixel + channel] / 255 * most;
  if (form.channelsFirst) {
    for (let channel = 0; channel < form.channels; channel++) for (let n = 0; n < count; n++) values.push(value(n, channel));
  } else {
    for (let n = 0; n < count; n++) for (let channel = 0; channel < form.channels; channel++) values.push(value(n, channel));
  }
  return values;
}

function tensor(input, data) {
  return {name: input.name, datatype: input.datatype, shape: input.shape, data};
}

// -- the answer ------------------------------------------------------------------------------------------------------

function fail(error) {
  place('outputs').replaceChildren();
  place('facts').replaceChildren();
  place('trouble').textContent = error.message;
  place('trouble').hidden = false;
}

function show(answer, headers, milliseconds, classes) {
  place('trouble').hidden = true;
  place('outputs').replaceChildren(...answer.outputs.map(output => outputTable(output, classes, answer.outputs.length)));
  const facts = [['Took', `${milliseconds.toFixed(1)} ms, from here and back`],
    ['Release', headers.get('x-cdl-release')], ['Digest', headers.get('x-cdl-digest')],
    ['Answer', headers.get('x-cdl-prediction')]];
  place('facts').replaceChildren(...facts.filter(([, value]) => value).flatMap(
    ([name, value]) => [made('dt', {textContent: name}), made('dd', {textContent: value})]));
}

function outputTable(output, classes, outputs) {
  const numeric = output.datatype !== 'BYTES' && output.datatype !== 'BOOL';
  const named = output.data.length === classes.length;
  const rows = output.data.map((value, number) => [named && numeric ? classes[number] : String(number), value]);
  const likely = numeric && rows.length > 1 && rows.every(([, value]) => value >= 0 && value <= 1.0001)
    && Math.abs(rows.reduce((sum, [, value]) => sum + value, 0) - 1) < 0.01;
  if (numeric && (likely || named)) rows.sort((one, other) => other[1] - one[1]);
  const table = made('table', {}, ...rows.slice(0, 50).map(([name, value]) => made('tr', {},
    made('td', {class: 'name', textContent: rows.length > 1 || named ? name : output.name}),
    ...(likely ? [made('td', {}, made('meter', {min: 0, max: 1, value, title: String(value)}))] : []),
    made('td', {class: 'value', textContent: likely ? `${(100 * value).toFixed(1)} %` : readable(value)}))));
  if (rows.length > 50) table.append(made('caption', {textContent: `50 of ${rows.length} values`}));
  return outputs > 1 || likely ? made('div', {}, made('h2', {textContent: output.name}), table) : table;
}

function readable(value) {
  return typeof value === 'number' && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value);
}

async function ask(model, request) {
  const body = JSON.stringify(request()), began = performance.now();
  const reply = await fetch(model.path, {method: 'POST', headers: {'content-type': 'application/json'}, body});
  const text = await reply.text(), milliseconds = performance.now() - began;
  let answer = {};
  try { answer = JSON.parse(text); } catch { /* a proxy on the way may answer in its own words */ }
  if (!reply.ok || !answer.outputs) throw new Error(answer.error || `The server answered ${reply.status} ${reply.statusText}`);
  show(answer, reply.headers, milliseconds, model.classes);
}

async function begin() {
  const reply = await fetch('try/model.json');
  if (!reply.ok) throw new Error(`The server answered ${reply.status} ${reply.statusText}`);
  const model = await reply.json();
  document.title = `Try ${model.name}`;
  place('name').textContent = model.name;
  place('origin').textContent = `Release ${model.release} · ${model.digest}`;
  const forms = {text: textForm, row: rowForm, image: imageForm, raw: rawForm};
  const request = forms[model.form.kind](model.form, place('fields'));
  const button = place('ask');
  place('form').addEventListener('submit', async event => {
    event.preventDefault();
    button.disabled = true;
    try { await ask(model, request); } catch (error) { fail(error); } finally { button.disabled = false; }
  });
  button.disabled = false;
}

begin().catch(fail);
