/**
 * Objects that stand in for a `Request` or a `Headers`, which is built only
 * when the program needs it.
 *
 * @module
 */

/**
 * Puts `lazy` into the prototype chain of a web class, so that `instanceof`
 * holds, and forwards the symbols under which Deno keeps its state, so that
 * methods of the web class work on a lazy object: they use its real object. A
 * lazy object has the web class as its constructor, which `Deno.inspect` shows,
 * and `for in` lists its properties like those of the web class.
 *
 * @param lazy The class of the objects that stand in.
 * @param sample An object of the web class.
 * @param real Returns, or builds, the real object of a lazy object.
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
