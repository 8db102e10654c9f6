#!/bin/sh
# vectors.sh PROGRAM ENGINE: the captured vectors that lie beside the project, where there are any.
vectors=../shared/vectors
if [ ! -d "$vectors/80286" ]; then
  echo "skipped: there are no vectors in $vectors"
  exit 77
fi
exec "$1" -engine "$2" -cpu 286 "$vectors/80286"
