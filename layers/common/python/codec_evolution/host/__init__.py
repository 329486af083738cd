"""The program on the orchestrator host; standard library only."""
