// Judgments that the server refused, until the person has read so: the sentence outlives a reload and a closed window.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  // A rejection: {publicId, message, url}, the latest of a task counts. `show` gets all that are kept.
  Roundtable.openRejections = ({ storage, show }) => {
    const rejections = storage.collection("rejections", { idOf: ({ publicId }) => publicId });
    let shownIds = [];
    const showAll = () => {
      const kept = rejections.all();
      shownIds = kept.map(({ publicId }) => publicId);
      if (shownIds.length) show(kept);
    };
    return {
      add(rejection) {
        rejections.put({ ...rejection, addedAt: Date.now() });
        showAll();
      },
      // When the page starts, with the public id of the task it was opened for, if any: that one has been read.
      showKept({ opened }) {
        rejections.remove(opened);
        showAll();
      },
      // The next judgment: what stood here has been read. What another window got meanwhile stays.
      forgetShown() {
        shownIds.forEach(rejections.remove);
        shownIds = [];
      },
    };
  };
})();
