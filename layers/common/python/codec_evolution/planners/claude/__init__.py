"""Claude as the planner: the conversation, its tools, and how its calls are paid for."""
