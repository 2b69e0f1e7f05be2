# LMC Explorer as a server: docs/deploy.md says how it is run.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
# An index of PyTorch's builds for CPUs; left out, the registry's builds with CUDA are installed.
ARG TORCH_INDEX=""
RUN python -m venv /opt/lmc
ENV PATH="/opt/lmc/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
# Both of one index: a torch for CPUs does not load the registry's torchvision. Versions are those
# that pyproject.toml allows.
# hadolint ignore=DL3013
RUN if [ -n "$TORCH_INDEX" ]; then \
      pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; \
    fi
WORKDIR /src
COPY pyproject.toml README.md LICENSE app.py ./
COPY .streamlit .streamlit
COPY pages pages
COPY assets assets
COPY lmc_core lmc_core
RUN pip install --no-cache-dir .

FROM python:${PYTHON}
# The numbers of user and group are fixed, so that a volume of theirs can be made beforehand.
RUN groupadd --gid 10001 lmc \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin lmc \
 && install -d -o lmc -g lmc /data
COPY --from=build /opt/lmc /opt/lmc
# All that is kept lies in /data; /tmp may be empty at each start, and nothing else is written.
ENV PATH="/opt/lmc/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    LMC_HOME=/data \
    LMC_ROOTS=/data/models \
    HF_HOME=/data/huggingface \
    LMC_ADDRESS=0.0.0.0
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import *; build_opener(ProxyHandler({})).open('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["lmc", "app", "--port", "8501", "--no-browser"]
