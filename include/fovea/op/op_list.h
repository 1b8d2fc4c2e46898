/* All ops, one line each: FV_OP(name). Inputs, attributes and the formula stand beside it. N H W C of the input, F
   output channels; "same" and explicit padding as in op.h. No include guard: it is included to be expanded. */

/* conv2d: in x{N,H,W,C}, weight{kh,kw,C/groups,F}, optional bias{1,1,1,F}; stride, dilation, groups, padding.
   y[n,i,j,f] = b[f] + sum_{u,v,c} x[n, i*s + u*d - top, j*s + v*d - left, c] w[u,v,c,f] (cross-correlation). A 1x1
   stride-1 convolution (pointwise) is a matrix product. */
FV_OP(conv2d)
/* depthwise: in x{N,H,W,C}, weight{kh,kw,1,C}; stride, dilation, padding. y[n,i,j,c] = sum_{u,v} x[..., c] w[u,v,0,c]
 */
FV_OP(depthwise)
/* conv_transpose: in x{N,H,W,C}, weight{kh,kw,C,F}, optional bias; stride. kernel 2 stride 2, and 3 stride 2 "same"
   (padding 1, output padding 1, as torch.nn.ConvTranspose2d(3, 2, 1, output_padding=1)): out = {N, 2H, 2W, F}.
   y[n, i*s + u - top, j*s + v - left, f] += x[n,i,j,c] w[u,v,c,f]; FV_PAD_SAME gives top = left = 1 for 3x3 stride 2.
 */
FV_OP(conv_transpose)
/* batch_norm: in x, gamma, beta, mean, var (each {1,1,1,C}), optional residual of x's shape; epsilon, momentum,
   activation. y = act(gamma (x - m) / sqrt(v + epsilon) + beta + residual); training: m and v of the batch (biased),
   and running mean and (unbiased) variance in in[3], in[4] updated with momentum; otherwise the running ones. (Ioffe
   and Szegedy 2015) */
FV_OP(batch_norm)
/* group_norm: in x, gamma, beta; groups, epsilon, activation. Statistics over H, W and the channels of a group of one
   sample. (Wu and He 2018) */
FV_OP(group_norm)
/* relu, relu6: in x. max(x, 0), min(max(x, 0), 6). Gradient at the corners is 0. */
FV_OP(relu)
FV_OP(relu6)
/* sigmoid: in x. 1 / (1 + exp(-x)) */
FV_OP(sigmoid)
/* silu: in x. x / (1 + exp(-x)), the "swish" of EfficientNet (Elfwing et al. 2018; Ramachandran et al. 2017) */
FV_OP(silu)
/* max_pool: in x; kernel, stride, padding. Padding never wins. The first of equal values takes the gradient. */
FV_OP(max_pool)
/* global_average_pool: in x -> {N,1,1,C} */
FV_OP(global_average_pool)
/* dense: in x{N,H,W,C} (taken as N rows of H*W*C), weight{1,1,H*W*C,F}, optional bias -> {N,1,1,F} */
FV_OP(dense)
/* upsample_nearest: in x; scale. y[i,j] = x[i/scale, j/scale] */
FV_OP(upsample_nearest)
/* upsample_bilinear: in x; scale. Half-pixel centres, edges clamped (torch align_corners=False) */
FV_OP(upsample_bilinear)
/* concat: 2 to 6 inputs of equal N, H, W -> channels side by side */
FV_OP(concat)
/* add: in a, b of equal shape; activation none or relu. act(a + b) */
FV_OP(add)
/* multiply: in a{N,H,W,C}, b of equal shape or {N,1,1,C} (broadcast over space: squeeze and excitation) */
FV_OP(multiply)
/* spatial_dropout: in x; rate. Training: whole channels of a sample are zeroed with probability rate, the others scaled
   by 1 / (1 - rate) (Tompson et al. 2015); otherwise the identity. */
FV_OP(spatial_dropout)
/* quantise: in x; step, zero, least, most. What is left of x when it is stored in few bits:
   y = (q - zero) step, q = min(max(round(x / step) + zero, least), most), halves to the even number; with step 0, x
   rounded to half precision (tensor/half.h). Gradient: 1 where q lies within its bounds, 0 beyond, as if nothing were
   rounded (the straight-through estimate of Bengio et al. 2013). */
FV_OP(quantise)
/* segmentation_loss: in logits{N,H,W,C}, target{N,H,W,C} in 0..1, valid{N,1,1,C} of 0 or 1 (is this class annotated in
   this sample?); weight_bce, weight_focal, focal_alpha, focal_gamma, weight_dice, weight_tversky, tversky_alpha,
   tversky_beta, smooth, dice_over_batch -> {1,1,1,1}. With p = sigmoid(z), the mean over the pixels of valid (n, c) of
     weight_bce * BCE(z, t), BCE(z, t) = max(z, 0) - z t + log(1 + exp(-|z|))
     weight_focal * focal_alpha (1 - p_t)^focal_gamma BCE(z, t), p_t = p t + (1 - p) (1 - t)  (Lin et al. 2017)
   plus the mean over valid (n, c), or over classes with dice_over_batch, of
     weight_dice * (1 - (2 sum p t + s) / (sum p + sum t + s))
     weight_tversky * (1 - (TP + s) / (TP + tversky_alpha FP + tversky_beta FN + s)), TP = sum p t, FP = sum p (1 - t),
     FN = sum (1 - p) t  (Salehi et al. 2017)
   alpha is one factor for all pixels, as `alpha * (1 - p_t)**gamma * bce` has it, not one a class. Sums in double. No
   valid pair: loss 0. */
FV_OP(segmentation_loss)
/* cldice_loss: in logits, target, valid as segmentation_loss has them; weight_cldice, cldice_iterations (0 means 3),
   smooth, dice_over_batch -> {1,1,1,1}. weight_cldice * mean over valid (n, c), or over classes with dice_over_batch,
   of 1 - 2 P S / (P + S), P = (sum skel(p) t + s) / (sum skel(p) + s), S = (sum skel(t) p + s) / (sum skel(t) + s),
   skel the soft skeleton of kernel/skeleton.h. Memory grows with the iterations: saved are 6 bytes a pixel for each.
   (Shit et al. 2021) */
FV_OP(cldice_loss)
