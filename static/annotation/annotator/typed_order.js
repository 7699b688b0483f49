// An order that is typed letter by letter, best first: {tiers, tie}. `tie`: the next letter joins the last tier.
// Nothing here touches the page; every function gives a new order.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  const empty = () => ({ tiers: [], tie: false });
  const has = ({ tiers }, label) => tiers.flat().includes(label);
  const copyOf = (tiers) => tiers.map((tier) => [...tier]);

  Roundtable.typedOrder = {
    empty,
    has,
    isComplete: ({ tiers }, labels) => labels.every((label) => tiers.flat().includes(label)),
    // The same order when the label stands in it already.
    type(order, label) {
      if (has(order, label)) return order;
      const tiers = copyOf(order.tiers);
      if (order.tie && tiers.length) tiers[tiers.length - 1].push(label);
      else tiers.push([label]);
      return { tiers, tie: false };
    },
    // The next letter ties with the last one; said again, it does not.
    tieNext: (order) => (order.tiers.length ? { ...order, tie: !order.tie } : order),
    takeBack(order) {
      if (order.tie) return { ...order, tie: false };
      const tiers = copyOf(order.tiers);
      if (tiers.length) tiers[tiers.length - 1].pop();
      return { tiers: tiers.filter((tier) => tier.length), tie: false };
    },
    // A saved order, if it is one of these labels.
    read(saved, labels) {
      const tiers = saved && saved.tiers;
      if (!Array.isArray(tiers) || !tiers.every((tier) => Array.isArray(tier) && tier.length)) return empty();
      const all = tiers.flat();
      const isOrder = all.every((label) => labels.includes(label)) && new Set(all).size === all.length;
      return isOrder ? { tiers: copyOf(tiers), tie: Boolean(saved.tie) && all.length > 0 } : empty();
    },
  };
})();
