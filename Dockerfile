# The environment of facefill without facefill: a mount brings the workflow, or Snakemake does.
#   docker build -t facefill .                                       # for CPUs
#   docker build -t facefill:cuda --build-arg COMPUTE=cuda .         # for NVIDIA's GPUs
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" facefill snakemake --cores all
ARG PYTHON=3.11.14-slim-bookworm
FROM python:${PYTHON}

# PyTorch's own index has wheels without CUDA; PyPI's wheel asks for CUDA's packages, nearly all at
# versions that it names itself: they are in no lock.
ARG COMPUTE=cpu
COPY envs/lock.txt /opt/facefill/
RUN case "$COMPUTE" in \
      cpu) index="--index-url https://download.pytorch.org/whl/cpu" ;; \
      cuda) index="" ;; \
      *) echo "facefill: COMPUTE is cpu or cuda, not $COMPUTE" >&2; exit 1 ;; \
    esac \
    && grep "^torch==" /opt/facefill/lock.txt > /opt/facefill/torch.txt \
    && pip install --no-cache-dir --no-deps $index -r /opt/facefill/torch.txt \
    && pip install --no-cache-dir -r /opt/facefill/lock.txt \
    && pip check

# Whoever runs it, also a user without a name here, may write into both folders.
RUN useradd --create-home facefill && mkdir /work && chmod 1777 /work /home/facefill
ENV HOME=/home/facefill USER=facefill
USER facefill
WORKDIR /work
CMD ["snakemake", "--help"]
