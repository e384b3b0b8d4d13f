// The fields of one view: how each is read, and where its error is shown. It doesn't know what they are about.

/** Gathers the fields while a view is drawn. */
export class Form {
  constructor() {
    this.readers = new Map();
    this.fields = new Map();
  }

  /** How the value of an element is read. */
  reads(block, element, read) {
    this.readers.set(`${block.block_id}\n${element.action_id}`, { block, element, read });
  }

  /** Where the error of an input block is shown, and which control it is about. */
  field(block, error, control) {
    this.fields.set(block.block_id, { error, control });
  }

  /** Forgets what stands in none of these blocks. */
  keepOnly(ids) {
    for (const [key, { block }] of this.readers) if (!ids.has(block.block_id)) this.readers.delete(key);
    for (const id of this.fields.keys()) if (!ids.has(id)) this.fields.delete(id);
  }

  /** All values, by block and action. */
  values() {
    const found = {};
    for (const { block, element, read } of this.readers.values()) {
      found[block.block_id] = { ...found[block.block_id], [element.action_id]: read() };
    }
    return found;
  }

  /** Shows errors on their fields, {block_id: words}, and goes to the first. */
  show(errors) {
    let first = null;
    for (const [id, { error, control }] of this.fields) {
      error.textContent = errors[id] || "";
      const node = control();
      if (errors[id]) node?.setAttribute("aria-invalid", "true");
      else node?.removeAttribute("aria-invalid");
      if (errors[id]) first ||= node;
    }
    const target = first?.matches("[role=group], [role=radiogroup]") ? first.querySelector("input") : first;
    target?.focus();
    return Boolean(first);
  }
}
