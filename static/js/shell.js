// What every signed-in page needs: toasts that leave by themselves, dialogs that open, the choice of the theme.
import "./toast.js";
import "./dialog.js";
import "./theme-choice.js";
