"""What must hold of data: checks of rows and of windows, what is set aside, and what people see of it."""
