"""What the admin sees and steers: widgets, explain, export, erase."""
