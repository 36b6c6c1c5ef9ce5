// SPDX-License-Identifier: GPL-2.0-only
/* Memory of user space, pinned and mapped for the device once. */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "vferry.h"

#define CHUNK 512UL /* pages between looks at signals */

static void unmap(struct vferry_buffer *buffer)
{
	struct vferry_owner *owner = buffer->owner;

	lockdep_assert_held(&owner->map_mutex);
	if (owner->domain && buffer->mapped)
		iommu_unmap(owner->domain, buffer->iova, buffer->mapped);
	buffer->mapped = 0;
}

static void unaccount(struct vferry_buffer *buffer)
{
	/* A process that is gone has no account. */
	if (mmget_not_zero(buffer->mm)) {
		account_locked_vm(buffer->mm, buffer->length >> PAGE_SHIFT, false);
		mmput(buffer->mm);
	}
	mmdrop(buffer->mm);
}

static void buffer_free(struct vferry_buffer *buffer)
{
	struct vferry_owner *owner = buffer->owner;

	mutex_lock(&owner->map_mutex);
	unmap(buffer);
	mutex_unlock(&owner->map_mutex);
	unpin_user_pages_dirty_lock(buffer->pages, buffer->npages, true);
	kvfree(buffer->pages);
	unaccount(buffer);
	/* Only now may the addresses be somebody else's. */
	spin_lock(&owner->buffers_lock);
	owner->buffers[buffer->id] = NULL;
	spin_unlock(&owner->buffers_lock);
	kfree(buffer);
	put_device(&owner->dev);
}

static void free_work(struct work_struct *work)
{
	buffer_free(container_of(work, struct vferry_buffer, free));
}

static void release_later(struct kref *ref)
{
	struct vferry_buffer *buffer = container_of(ref, struct vferry_buffer, ref);

	queue_work(vferry_wq, &buffer->free);
}

/* From any context. */
void vferry_buffer_put(struct vferry_buffer *buffer)
{
	kref_put(&buffer->ref, release_later);
}

static int pin(struct vferry_buffer *buffer, u64 address)
{
	unsigned long all = buffer->length >> PAGE_SHIFT;

	while (buffer->npages < all) {
		long n;

		if (fatal_signal_pending(current))
			return -EINTR;
		n = pin_user_pages_fast(address + (buffer->npages << PAGE_SHIFT),
					min(all - buffer->npages, CHUNK),
					FOLL_WRITE | FOLL_LONGTERM, buffer->pages + buffer->npages);
		if (n <= 0)
			return n ? n : -EFAULT;
		buffer->npages += n;
		cond_resched();
	}
	return 0;
}

static int map(struct vferry_buffer *buffer)
{
	struct vferry_owner *owner = buffer->owner;
	unsigned long i = 0;
	int ret = 0;

	mutex_lock(&owner->map_mutex);
	if (!owner->domain)
		ret = -ENODEV;
	while (!ret && i < buffer->npages) {
		phys_addr_t phys = page_to_phys(buffer->pages[i]);
		unsigned long n = 1;

		while (i + n < buffer->npages &&
		       page_to_phys(buffer->pages[i + n]) == phys + (n << PAGE_SHIFT))
			n++;
		ret = iommu_map(owner->domain, buffer->iova + buffer->mapped, phys,
				n << PAGE_SHIFT, IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE,
				GFP_KERNEL_ACCOUNT);
		if (!ret) {
			buffer->mapped += n << PAGE_SHIFT;
			i += n;
		}
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	mutex_unlock(&owner->map_mutex);
	return ret;
}

/* A number, and with it addresses; nobody finds it before it has a file. */
static int place(struct vferry_owner *owner, struct vferry_buffer *buffer)
{
	unsigned int id;

	spin_lock(&owner->buffers_lock);
	for (id = 0; id < VFERRY_BUFFERS && owner->buffers[id]; id++)
		;
	if (id < VFERRY_BUFFERS)
		owner->buffers[id] = buffer;
	spin_unlock(&owner->buffers_lock);
	if (id == VFERRY_BUFFERS)
		return -ENOSPC;
	buffer->id = id;
	buffer->iova = VFERRY_BUFFER_IOVA + id * VFERRY_BUFFER_BYTES;
	return 0;
}

int vferry_buffer_register(struct vferry_file *file, const struct vferry_uring_register *reg)
{
	struct vferry_owner *owner = file->owner;
	struct vferry_buffer *buffer;
	int ret;

	if (reg->flags || reg->reserved[0] || reg->reserved[1] || !reg->length ||
	    reg->length > VFERRY_BUFFER_BYTES || reg->length & ~PAGE_MASK ||
	    reg->address & ~PAGE_MASK)
		return -EINVAL;
	if (!access_ok(u64_to_user_ptr(reg->address), reg->length))
		return -EFAULT;
	if (!current->mm)
		return -EFAULT;
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	kref_init(&buffer->ref);
	INIT_WORK(&buffer->free, free_work);
	buffer->owner = owner;
	buffer->length = reg->length;
	buffer->pages = kvmalloc_array(reg->length >> PAGE_SHIFT, sizeof(*buffer->pages),
				       GFP_KERNEL_ACCOUNT);
	if (!buffer->pages) {
		kfree(buffer);
		return -ENOMEM;
	}
	ret = account_locked_vm(current->mm, reg->length >> PAGE_SHIFT, true);
	if (ret) {
		kvfree(buffer->pages);
		kfree(buffer);
		return ret;
	}
	buffer->mm = current->mm;
	mmgrab(buffer->mm);
	ret = place(owner, buffer);
	if (ret) {
		kvfree(buffer->pages);
		unaccount(buffer);
		kfree(buffer);
		return ret;
	}
	get_device(&owner->dev);
	ret = pin(buffer, reg->address);
	if (!ret)
		ret = map(buffer);
	if (ret) {
		buffer_free(buffer);
		return ret;
	}
	ret = buffer->id;
	spin_lock(&owner->buffers_lock);
	buffer->file = file;
	spin_unlock(&owner->buffers_lock);
	return ret;
}

int vferry_buffer_unregister(struct vferry_file *file, u32 id)
{
	struct vferry_owner *owner = file->owner;
	struct vferry_buffer *buffer;
	int ret = -ENOENT;

	if (id >= VFERRY_BUFFERS)
		return -ENOENT;
	spin_lock(&owner->buffers_lock);
	buffer = owner->buffers[id];
	if (buffer && buffer->file == file) {
		ret = kref_read(&buffer->ref) > 1 ? -EBUSY : 0;
		if (!ret)
			buffer->file = NULL;
	}
	spin_unlock(&owner->buffers_lock);
	/* The only reference is ours, and nobody finds it to take another. */
	if (!ret)
		buffer_free(buffer);
	return ret;
}

void vferry_buffer_drop_file(struct vferry_file *file)
{
	struct vferry_owner *owner = file->owner;
	unsigned int id;

	for (id = 0; id < VFERRY_BUFFERS; id++) {
		struct vferry_buffer *buffer;

		spin_lock(&owner->buffers_lock);
		buffer = owner->buffers[id];
		if (buffer && buffer->file == file)
			buffer->file = NULL;
		else
			buffer = NULL;
		spin_unlock(&owner->buffers_lock);
		if (buffer)
			vferry_buffer_put(buffer);
	}
}

int vferry_buffer_get(struct vferry_file *file, const struct vferry_uring_run *run,
		      struct vferry_buffer **out, struct vferry_segment *segment)
{
	struct vferry_owner *owner = file->owner;
	struct vferry_buffer *buffer;
	int ret = 0;

	if (run->buffer >= VFERRY_BUFFERS)
		return -ENOENT;
	spin_lock(&owner->buffers_lock);
	buffer = owner->buffers[run->buffer];
	if (!buffer || buffer->file != file)
		ret = -ENOENT;
	else if (!run->length || run->offset > buffer->length ||
		 run->length > buffer->length - run->offset)
		ret = -EINVAL;
	else
		kref_get(&buffer->ref);
	spin_unlock(&owner->buffers_lock);
	if (ret)
		return ret;
	*out = buffer;
	segment->iova = buffer->iova + run->offset;
	segment->length = run->length;
	return 0;
}

/*
 * The domain goes; files may still have buffers, which then stand for memory that no device
 * reaches.
 */
void vferry_buffer_unmap_all(struct vferry_owner *owner)
{
	unsigned int id;

	lockdep_assert_held(&owner->map_mutex);
	for (id = 0; id < VFERRY_BUFFERS; id++) {
		struct vferry_buffer *buffer;

		/* Freeing one needs map_mutex too: it stays until this is done with it. */
		spin_lock(&owner->buffers_lock);
		buffer = owner->buffers[id];
		spin_unlock(&owner->buffers_lock);
		if (buffer)
			unmap(buffer);
	}
}
