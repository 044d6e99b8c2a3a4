"""How many predictions a second: the model server beside others on the same model, and beside what HTTP alone costs."""
