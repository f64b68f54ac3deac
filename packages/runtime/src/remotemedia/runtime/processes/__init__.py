"""Node processes: what runs in them, and who watches over them."""
