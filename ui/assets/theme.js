// Sets the remembered theme and density before the first paint; the program takes over from here (see src/prefs.rs).
(function () {
  try {
    var root = document.documentElement;
    var theme = localStorage.getItem("so.theme");
    var density = localStorage.getItem("so.density");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (density === "compact") root.dataset.density = density;
  } catch (blocked) {
    // A browser that refuses storage gets the system's theme.
  }
})();
