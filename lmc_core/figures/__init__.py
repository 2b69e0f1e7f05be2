"""Results -> Plotly figures; nothing here knows of Streamlit."""
