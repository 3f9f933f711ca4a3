#!/usr/bin/env bash
# Makes an empty ext4 for a box's own disk, byte for byte the same each time. The device is always 64 GB; SIZE is the file system's first size, and
# the reserved descriptor blocks let the agent grow it online (EXT4_IOC_RESIZE_FS) to the device's end.
#
# usage: build.sh SIZE OUT        SIZE as mke2fs takes it: 8G
set -euo pipefail

size=$1 out=$2

# The device is a sparse file in the end: nothing but the template's own blocks is ever stored
device_blocks=16777216   # 64 GB / 4 KB

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What overlayfs needs, so that a first boot has nothing to create: upper is the box's root directory, hence its mode
mkdir -m 0755 "$work/tree" "$work/tree/upper"
mkdir -m 0700 "$work/tree/work"
find "$work/tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# mke2fs of 1.47 takes its clock from this variable alone
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
# A machine's own defaults must not decide: every choice is on the command line below
printf '[fs_types]\n ext4 = {\n  inode_size = 256\n }\n' > "$work/mke2fs.conf"
export MKE2FS_CONFIG=$work/mke2fs.conf

features=none
features+=,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize
# resize_inode: room for descriptors of 64 GB. uninit_bg: with it an inode table needs no writing, the device being all zeros
# (assume_storage_prezeroed says so to mke2fs, and by a flag per group to the kernel, whose background zeroing then has nothing to do)
features+=,resize_inode,uninit_bg
# Not metadata_csum (the store below has its own checks, and the guest would compute a CRC per metadata block), not 64bit (16 TB are enough)

rm -f "$out"
truncate -s "$size" "$out"
mke2fs -q -F -t ext4 -O "$features" -b 4096 -I 256 -i 16384 -G 16 -m 0 -L boxrun \
  -U 8b0c5c1e-0b0a-4e2b-9c52-b0c5d15c0001 \
  -J size=4 \
  -E "assume_storage_prezeroed=1,nodiscard,root_owner=0:0,resize=$device_blocks,hash_seed=8b0c5c1e-0b0a-4e2b-9c52-b0c5d15c0002" \
  -d "$work/tree" "$out"

# mke2fs copies the folders' owner, which must be root whoever builds, and their change time, which cannot be set from outside
for folder in upper work; do
  for field in "uid 0" "gid 0" "ctime @$SOURCE_DATE_EPOCH"; do echo "set_inode_field $folder $field"; done
done | debugfs -w -f - "$out" > /dev/null 2>&1
