// An order found by questions "which is better?", by binary insertion: each answer in turn is put among the tiers before
// it. K answers need at most the sum of ceil(log2(i + 1)), i = 1 .. K - 1, questions; an answer that ties ends a search
// early (Knuth, The Art of Computer Programming 3, section 5.3.1).
// `said` is what was answered, the oldest first: {pair: [label, label], better: label, or null for a tie}. Of two on one
// pair the later counts. Nothing here touches the page, and nothing is kept: the search is made again from what was said.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  const isOn = ({ pair }, a, b) => pair.includes(a) && pair.includes(b);
  const lastOn = (said, label, tier) => said.findLast((one) => tier.some((other) => isOn(one, label, other)));
  const questionsAmong = (tiers) => Math.ceil(Math.log2(tiers + 1));

  // {question: [label, label] in the order of `labels`, or null when all is known; tiers: of what is placed;
  //  rest: what is not; left: at most so many questions}
  const search = (labels, said) => {
    const tiers = [[labels[0]]];
    for (let place = 1; place < labels.length; place += 1) {
      const label = labels[place];
      let [low, high, isTied] = [0, tiers.length, false];
      while (low < high && !isTied) {
        const middle = Math.floor((low + high) / 2);
        const answer = lastOn(said, label, tiers[middle]);
        if (!answer) {
          let left = questionsAmong(high - low);
          for (let later = place + 1; later < labels.length; later += 1) left += questionsAmong(tiers.length + later - place);
          return { question: [tiers[middle][0], label], tiers, rest: labels.slice(place), left };
        }
        if (answer.better === null) {
          tiers[middle].push(label);
          isTied = true;
        } else if (answer.better === label) high = middle;
        else low = middle + 1;
      }
      if (!isTied) tiers.splice(low, 0, [label]);
    }
    return { question: null, tiers, rest: [], left: 0 };
  };

  // Whether these tiers say of a pair what was answered.
  const agrees = ({ pair: [a, b], better }, tiers) => {
    const [placeA, placeB] = [a, b].map((label) => tiers.findIndex((tier) => tier.includes(label)));
    if (better === null) return placeA === placeB;
    return better === a ? placeA < placeB : placeB < placeA;
  };

  Roundtable.guidedOrder = {
    search,
    // What was said with this answer: the one before it on the pair is gone.
    answer: (said, [a, b], better) => [...said.filter((one) => !isOn(one, a, b)), { pair: [a, b], better }],
    without: (said, [a, b]) => said.filter((one) => !isOn(one, a, b)),
    contradictions: (said, tiers) => said.filter((one) => !agrees(one, tiers)),
    // A saved list, what is not of these labels left out.
    read: (saved, labels, allowTies) => (Array.isArray(saved) ? saved : []).filter((one) =>
      one && Array.isArray(one.pair) && one.pair.length === 2 && one.pair[0] !== one.pair[1]
      && one.pair.every((label) => labels.includes(label))
      && (one.better === null ? allowTies : one.pair.includes(one.better))),
  };
})();
