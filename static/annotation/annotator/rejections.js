// Judgments that the server refused, until the person has read so: the sentence outlives a reload and a closed window.
(function () {
  "use strict";
  const Roundtable = (window.Roundtable = window.Roundtable || {});

  // A rejection: {publicId, message, url}, the latest of a task counts. `show` gets all that are kept.
  Roundtable.openRejections = ({ storage, show }) => {
    let shownIds = [];
    const read = () => storage.get("rejections") || [];
    const write = (rejections) => (rejections.length ? storage.set("rejections", rejections) : storage.remove("rejections"));
    const forget = (publicIds) => write(read().filter(({ publicId }) => !publicIds.includes(publicId)));
    const showAll = () => {
      shownIds = read().map(({ publicId }) => publicId);
      if (shownIds.length) show(read());
    };
    return {
      add(rejection) {
        forget([rejection.publicId]);
        write([...read(), rejection]);
        showAll();
      },
      // When the page starts, with the public id of the task it was opened for, if any: that one has been read.
      showKept({ opened }) {
        forget([opened]);
        showAll();
      },
      // The next judgment: what stood here has been read. What another window got meanwhile stays.
      forgetShown() {
        forget(shownIds);
        shownIds = [];
      },
    };
  };
})();
