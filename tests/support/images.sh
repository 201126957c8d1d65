# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Images made by umoci, layer by layer. Sourced after lib.sh; I is the directory that they lie in.

# add_layer IMAGE DIR WORDS: DIR as a layer on top, made by WORDS; its tar is $I/layer.tar.
add_layer() {
	tar -C "$2" --sparse --xattrs --xattrs-include='*' --numeric-owner -cf "$I/layer.tar" .
	umoci raw add-layer --image "$1" --history.created_by "$3" "$I/layer.tar"
}
