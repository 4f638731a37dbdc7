"""Many tasks in few long-lived sandboxes."""
