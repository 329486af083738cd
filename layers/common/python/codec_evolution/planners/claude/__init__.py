"""Claude as the planner: the conversation, its tools, and the budget of its calls."""
