/**
 * Objects that are a `Request` or a `Headers` to everybody, and are built only
 * when somebody needs the real one.
 *
 * @module
 */

/**
 * Puts `lazy` into the prototype chain of a web class, so that `instanceof`
 * holds, and forwards the symbols under which Deno keeps its own state: a
 * method of the web class then works on a lazy object, by way of its real one.
 * Its objects name the web class as their constructor, as `Deno.inspect` shows
 * it, and their properties are listed by `for in` as those of the web class.
 *
 * @param lazy The class whose objects stand in.
 * @param sample An object of the web class.
 * @param real Returns, or builds, the real object behind a lazy one.
 */
export function standInFor<Lazy extends object, Real extends object>(
  lazy: { prototype: Lazy },
  sample: Real,
  real: (object: Lazy) => Real,
): void {
  Object.setPrototypeOf(lazy.prototype, Object.getPrototypeOf(sample));
  Reflect.deleteProperty(lazy.prototype, "constructor");
  for (const name of Object.getOwnPropertyNames(lazy.prototype)) {
    Object.defineProperty(lazy.prototype, name, { enumerable: true });
  }
  for (const symbol of Object.getOwnPropertySymbols(sample)) {
    Object.defineProperty(lazy.prototype, symbol, {
      configurable: true,
      get(this: Lazy) {
        return Reflect.get(real(this), symbol);
      },
      set(this: Lazy, value: unknown) {
        Reflect.set(real(this), symbol, value);
      },
    });
  }
}
