# Sourced by the scripts that compare weights.
# tensors FILE: SHA-256 of the bytes behind a safetensors header, whose metadata holds times: those of all tensors, moments and averages
# included.
tensors() {
  local header
  header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
  tail -c +$((9 + header)) "$1" | sha256sum | cut -d ' ' -f 1
}
