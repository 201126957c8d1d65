/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a layer's file without its holes: a small archive may have files of any size. */
#include <errno.h>
#include <unistd.h>

#include "layer/layer.h"
#include "tool/look_private.h"

ssize_t look_read_piece(struct layer_file *f, char *bytes, size_t size, uint64_t off)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n > 0) {
		n = layer_file_read(f, bytes + done, size - done, (off_t)(off + done));
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* A file that is shorter than it said has no hole there. */
static int only_hole(struct layer_file *f, uint64_t size, struct look_range *range)
{
	char last;
	ssize_t n = layer_file_read(f, &last, 1, (off_t)(size - 1));

	if (n <= 0)
		return n < 0 ? (int)n : -EIO;
	*range = (struct look_range){size, size};
	return 0;
}

int look_range_at(struct layer_file *f, uint64_t off, uint64_t size, struct look_range *range)
{
	off_t data, hole;

	if (off < range->hole)
		return 0;
	data = layer_file_seek(f, (off_t)off, SEEK_DATA);
	if (data == -ENXIO || (data >= 0 && (uint64_t)data >= size))
		return only_hole(f, size, range);
	hole = data >= 0 ? layer_file_seek(f, data, SEEK_HOLE) : data;
	/* What has no word of holes is read. */
	if (hole <= data || data < (off_t)off)
		*range = (struct look_range){off, size};
	else
		*range = (struct look_range){(uint64_t)data,
					     (uint64_t)hole < size ? (uint64_t)hole : size};
	return 0;
}
