"""What the exercises ask: for each lesson the right answers and the known wrong ones."""
