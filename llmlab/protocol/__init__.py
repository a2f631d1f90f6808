"""The ground floor: what wire and pipeline both speak. It imports nothing of llmlab but its errors."""
